"""The command line: one subcommand for each step of the data flow, and no logic of its own.

    app.py       the application
    endings.py   from every exception to one sentence and an exit code
    extras.py    which extra a command needs
    arguments.py what several commands take
    running.py   a step alone: the run's lock, signals, several processes
    steps.py     run, rollout, grade, reference, distill, evaluate
    measures.py  snr, anatomy, report
    tables.py    fit, weigh
    theory.py    verify

Every command imports what it needs when it runs, so that ``paced --help`` answers at once and ``paced fit`` or
``paced verify`` never load torch. A TARGET is a recipe (YAML) or the folder of a run that has begun.
Exit codes: 0 done, 1 a check failed or a loss was not finite, 2 wrong input, 70 a fault of paced itself, 75 stopped by
a signal and ready to continue, 130 stopped from the keyboard, 141 the reader of the output went away.
"""

from paced.cli import measures, steps, tables, theory  # noqa: F401 - each adds its commands to the application
from paced.cli.app import app, main

__all__ = ["app", "main"]
