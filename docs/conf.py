"""Sphinx settings: Markdown pages by MyST, formulas by KaTeX as MathML, which needs no network and no fonts."""

from __future__ import annotations

import paced

project = "paced"
author = "the paced authors"
release = paced.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.katex",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "paced"
html_static_path = ["_static"]
katex_css_path = "page.css"  # MathML needs none of KaTeX's own
katex_options = 'output: "mathml"'
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
