"""The whole job: the lab, what all methods share, each method from the same student, evaluation.

Left out: the report, which is made from the files that the job leaves; and methods side by side in several processes.
One after the other is what a laptop can do, and each is a run.
"""

from __future__ import annotations

from paced.pipeline.evaluate import evaluate
from paced.pipeline.methods import build_lab, prepare, run_shared
from paced.pipeline.open import method_folder
from paced.pipeline.preflight import check_all
from paced.pipeline.preflight_models import check_weights
from paced.pipeline.steps import train_run
from paced.problems.sources import are_there
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.train.trackers import check_trackers


def run_job(run: RunFolder, progress: Progress) -> None:
    """Everything from the lab to the last evaluation; finished steps are kept.

    Raises:
        StopRequested: a signal came; the same call continues from there.
    """
    config = run.config()
    check_trackers(config)
    build_lab(run, progress)
    if are_there(config.problems.path) or not run.problems.exists():
        for note in check_all(config)[0].notes:
            progress.note(note)
    else:
        progress.note(f"{config.problems.path} is not there any more; the run continues with its own copy")
    prepare(run, progress)
    if not run.stage(1).pass_rates.exists():  # a run that continues has loaded these models before
        check_weights(config)
    folders = {method: method_folder(run, method, progress) for method in config.methods}
    if not folders:
        evaluate(run, "base", progress)
        train_run(run, progress)
        evaluate(run, "final", progress)
        return
    run_shared(run, progress)
    for method, folder in folders.items():
        progress.note(f"method '{method}'")
        prepare(folder, progress)
        evaluate(folder, "base", progress)
        train_run(folder, progress)
        evaluate(folder, "final", progress)
