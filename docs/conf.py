"""Sphinx settings: Markdown pages by MyST, formulas by KaTeX as MathML, which needs no network and no fonts."""

from __future__ import annotations

import re
from typing import Any

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
autodoc_default_options = {"members": True, "special-members": "__call__"}
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("ArrayLike", "NDArray", "Floats", "Integers", "Booleans", "Keys")}
napoleon_custom_sections = ["Edges"]


def escape_bars(app: Any, what: str, name: str, subject: Any, options: Any, lines: list[str]) -> None:
    """Let ``|r|`` of a docstring be an absolute value: reStructuredText would look for a substitution of that name."""
    in_example = False
    for place, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            parts = re.split("(``.*?``)", line)
            lines[place] = "".join(part if part.startswith("``") else part.replace("|", r"\|") for part in parts)


def setup(app: Any) -> None:
    """Register what is above with Sphinx."""
    app.connect("autodoc-process-docstring", escape_bars)
