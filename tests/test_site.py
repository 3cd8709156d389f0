"""The documentation builds without a warning, and the built pages need no network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc=["']([^"']+)|<link[^>]*\shref=["']([^"']+)|url\(["']?([^"')]+)"""
)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("furo")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(ROOT / "docs"),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 100
    elsewhere = {
        (page.name, address)
        for page in pages
        for found in LOADED.findall(page.read_text(encoding="utf-8"))
        for address in found
        if address.startswith(("http:", "https:", "//"))
    }
    assert not elsewhere
    assert (tmp_path / "searchindex.js").stat().st_size > 0
