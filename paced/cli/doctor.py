"""What is installed and what is missing, ready for a bug report."""

from __future__ import annotations

from paced.cli.app import app
from paced.cli.arguments import JsonFile
from paced.cli.running import write_json_text
from paced.run.inert import say


@app.command(group="This installation")
def doctor(*, json: JsonFile = None) -> int:
    """Print versions, devices, engines, and what each extra lacks with the command that installs it; for a bug report.

    Nothing in it names the host, a folder or a user.

    Parameters
    ----------
    json
        Write the same as JSON to this file; ``-`` prints it.
    """
    import json as encoder

    from paced.pipeline.doctor import diagnose, report

    found = diagnose()
    if not write_json_text(json, encoder.dumps(found, indent=2) + "\n"):
        for line in report(found):
            say(line)
    return 0
