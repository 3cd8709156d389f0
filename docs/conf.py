"""Sphinx settings: Markdown pages by MyST, mathematics by MathJax."""

from __future__ import annotations

import paced

project = "paced"
author = "the paced authors"
release = paced.__version__
extensions = ["myst_parser", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"description": "Distillation at the frontier of student competence", "fixed_sidebar": True}
