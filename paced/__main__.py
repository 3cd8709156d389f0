"""``python -m paced`` and ``torchrun -m paced`` are the command ``paced``: files of the working folder are no packages.

Python puts that folder first on the path of a module that it runs. A folder ``vllm`` in it, the one of a run for
example, would pass for the package of that name, and a file ``yaml.py`` would be executed.
"""

import os
import sys

try:
    here = os.getcwd()
except FileNotFoundError:  # deleted since; Python then writes it as an empty text
    here = ""
if not sys.flags.safe_path and sys.path[0] == here:
    del sys.path[0]

from paced.cli import main

main()
