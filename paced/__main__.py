"""``python -m paced`` and ``torchrun -m paced`` are the command line."""

from paced.cli import main

main()
