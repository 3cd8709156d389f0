"""The command line: one subcommand for each step of the data flow, and no logic of its own.

    app.py       the application
    endings.py   from every exception to one sentence and an exit code
    extras.py    which extra a command needs
    arguments.py what several commands take
    running.py   a step alone: the run's lock, signals, several processes
    steps.py     run, rollout, grade, reference, distill, evaluate
    plan.py      plan
    measures.py  snr, anatomy, lm-eval, export-tasks, power, report
    rates.py     rate, export
    tables.py    fit, weigh
    theory.py    verify
    doctor.py    doctor
    recipes.py   recipes
    commandpage.py  docs/commands.md
    formats.py   every file that is read or written; formatpage.py makes docs/reference/file_formats.md of it

Every command imports what it needs when it runs, so that ``paced --help`` answers at once and ``paced fit`` or
``paced verify`` never load torch. A TARGET is a recipe (YAML) or the folder of a run that has begun.
The exit codes are in ``endings.py``; ``commandpage.py`` writes commands, arguments and codes to docs/commands.md.
"""

from paced.cli import steps, plan, measures, rates, data, tables, theory, doctor, recipes  # noqa: F401, I001 - each adds its commands, in order
from paced.cli.app import app, main

__all__ = ["app", "main"]
