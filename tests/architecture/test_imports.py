"""The import rule of the house, read from the source and tried in a fresh process."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "paced").rglob("*.py"))

BASE = {"records", "errors", "storage", "tablefile", "config", "configfile", "runfolder", "__init__"}
"""Modules at the root of the package that anyone may import."""
MAY_IMPORT = {
    "base": {"base"},
    "weights": {"base", "weights"},
    "theory": {"base", "weights", "theory"},
    "train": {"base", "weights", "train"},
    "lab": {"base", "weights", "lab", "train"},
    "analysis": {"base", "weights", "theory", "train", "lab", "analysis"},
    "cli": {"base", "weights", "theory", "train", "lab", "analysis", "cli"},
}
"""cli → analysis → {theory, train, lab} → weights → records, errors; the lab also uses the trainer's one sampler."""

HEAVY = {
    "torch": ("paced/train/", "paced/lab/", "paced/analysis/snr", "paced/analysis/anatomy"),
    "transformers": ("paced/train/", "paced/lab/", "paced/analysis/snr", "paced/analysis/anatomy"),
    "sympy": ("paced/theory/",),
    "z3": ("paced/theory/",),
    "flint": ("paced/theory/",),
    "hypothesis": ("paced/theory/",),
    "matplotlib": ("paced/analysis/figures",),
    "vllm": ("paced/train/rollout/vllm",),
    "trl": ("paced/train/backends/trl",),
}
"""Package -> the only places that may import it."""

LATE = {("weights", "analysis")}
"""Imports allowed inside a function only: FitResult.plot() draws with the one place that knows matplotlib."""


def part_of(module: str) -> str:
    """The part of the house that a dotted module name belongs to."""
    names = module.split(".")
    if len(names) == 1 or names[1] in BASE | {"__version__"}:
        return "base"
    return "cli" if names[1] in {"cli", "__main__"} else names[1]


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """(module, at module level) of every import statement outside TYPE_CHECKING blocks."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.extend((alias.name, top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and child.level == 0:
                names = [child.module]
                if child.module == "paced":
                    names = [f"paced.{alias.name}" for alias in child.names]
                found.extend((name, top) for name in names)
            assert not (isinstance(child, ast.ImportFrom) and child.level), f"{path}: relative import"
            visit(child, top and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_imports_upwards(path):
    relative = path.relative_to(ROOT)
    here = part_of(".".join(relative.with_suffix("").parts))
    for module, top in imports_of(path):
        if module == "paced" or module.startswith("paced."):
            there = part_of(module)
            allowed = there in MAY_IMPORT[here] or (not top and (here, there) in LATE)
            assert allowed, f"{relative} ({here}) imports {module} ({there})"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_stay_in_their_rooms(path):
    relative = str(path.relative_to(ROOT))
    for module, _ in imports_of(path):
        rooms = HEAVY.get(module.split(".")[0])
        assert rooms is None or relative.startswith(rooms), f"{relative} imports {module}, allowed only in {rooms}"


def test_the_fence_sees_what_it_should(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("import torch\ndef f():\n    from paced.analysis import figures\n")
    assert imports_of(file) == [("torch", True), ("paced.analysis", False)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_a_drawer_of_odds_and_ends(path):
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}
    # 350 lines is where one asks whether a file holds one idea; 450 is where the answer is no.
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


def loaded_after(*arguments: str) -> set[str]:
    """Top-level packages in sys.modules after running the command line with ``arguments`` in a fresh process."""
    program = (
        "import sys, contextlib, io\n"
        "from paced.cli import app\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    app(sys.argv[1:])\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_paced_loads_nothing_heavy():
    program = "import sys, paced; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "sympy", "z3", "matplotlib", "pyarrow"} & set(done.stdout.split())


def test_help_loads_nothing_heavy():
    assert not {"torch", "transformers", "sympy", "z3", "matplotlib", "scipy"} & loaded_after("--help")


def test_fit_never_loads_torch_or_sympy(tmp_path):
    file = tmp_path / "counts.csv"
    rows = [(0, 8), (2, 8), (4, 8), (5, 8), (8, 8)] * 5
    file.write_text("num_passed,num_rollouts\n" + "".join(f"{s},{k}\n" for s, k in rows))
    assert not {"torch", "transformers", "sympy", "z3"} & loaded_after("fit", str(file), "--no-figure")


def test_verify_never_loads_torch():
    assert not {"torch", "transformers"} & loaded_after("verify", "--claim", "rem5")
