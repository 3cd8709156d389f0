"""The import rule of the house, read from the source and tried in fresh processes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "paced").rglob("*.py"))
NAMES = {str(path.relative_to(ROOT)): path for path in FILES}

GROUND = {"ground"}
RUN = GROUND | {"run"}
MODELS_AND_PROBLEMS = RUN | {"grading", "models", "problems"}
TRAIN_AND_ROLLOUTS = MODELS_AND_PROBLEMS | {"train", "rollouts"}
WEIGHTS = RUN | {"figures", "weights"}
MAY_IMPORT = {
    "ground": GROUND,
    "run": RUN,
    "figures": RUN | {"figures"},
    "grading": RUN | {"grading"},
    "problems": RUN | {"grading", "problems"},
    "models": RUN | {"models"},
    "rollouts": MODELS_AND_PROBLEMS | {"rollouts"},
    "train": RUN | {"models", "problems", "train"},
    "weights": WEIGHTS,
    "lab": TRAIN_AND_ROLLOUTS | WEIGHTS | {"lab"},
    "pipeline": TRAIN_AND_ROLLOUTS | WEIGHTS | {"lab", "pipeline"},
    "analysis": TRAIN_AND_ROLLOUTS | WEIGHTS | {"lab", "pipeline", "analysis"},
    "theory": WEIGHTS | {"theory"},
    "cli": TRAIN_AND_ROLLOUTS | WEIGHTS | {"lab", "pipeline", "analysis", "theory", "cli"},
}
"""Room -> the rooms that it may import: cli → analysis → pipeline → lab → {train, rollouts} → {models, problems} →
grading → run → ground, and {pipeline, analysis, theory, lab} → weights → {figures, run}. The trainer is blind to the
method: it sees neither weights, rollouts, grading nor the pipeline."""

WITH_MODELS = (
    "paced/models/", "paced/rollouts/", "paced/train/", "paced/lab/", "paced/analysis/snr/", "paced/analysis/anatomy/",
)  # fmt: skip
HEAVY = {
    "torch": (*WITH_MODELS, "paced/pipeline/"),
    "transformers": (*WITH_MODELS, "paced/pipeline/"),
    "sympy": ("paced/theory/",),
    "z3": ("paced/theory/",),
    "flint": ("paced/theory/", "paced/grading/balls.py"),
    "math_verify": ("paced/grading/symbolic.py",),
    "hypothesis": ("paced/theory/",),
    "vllm": ("paced/rollouts/vllm_noise.py", "paced/rollouts/vllm_worker.py"),
    "ray": ("paced/rollouts/ray_data.py",),
    "httpx": ("paced/rollouts/server_http.py",),
    "tenacity": ("paced/rollouts/server_http.py",),
    "trl": ("paced/train/trl_trainer.py",),
    "datasets": ("paced/problems/hub.py",),
}
"""Package -> the only places that may import it; in the pipeline inside functions only. matplotlib has its own test."""


def room_of(module: str) -> str:
    """The room of the house that a dotted module name belongs to."""
    names = module.split(".")
    if len(names) == 1 or names[1] in {"arrays", "errors", "installed", "records", "zone", "__init__"}:
        return "ground"
    return "cli" if names[1] == "__main__" else names[1]


def module_of(path: Path) -> str:
    """Dotted name of a file; a package's ``__init__.py`` is the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path, *, typing_too: bool = False) -> list[tuple[str, bool]]:
    """(module, at module level) of every import statement; those for type checkers only when asked for."""
    imported: list[tuple[str, bool]] = []

    def visit(node: ast.AST, top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if not typing_too and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            assert not (isinstance(child, ast.ImportFrom) and child.level), f"{path}: relative import"
            if isinstance(child, ast.Import):
                imported.extend((alias.name, top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                # A name may be a module of the package: then that is what is imported.
                full = [f"{child.module}.{alias.name}" for alias in child.names]
                imported.extend((name if name in MODULES else child.module, top) for name in full)
            visit(child, top and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return imported


def is_figure(module: str) -> bool:
    """Whether a module of the package draws: ``figures.py`` at the top, ``figure*.py`` in a room."""
    return module in MODULES and module.rpartition(".")[2].startswith("figure")


@pytest.mark.parametrize("name", NAMES)
def test_no_module_imports_upwards(name):
    here = room_of(module_of(NAMES[name]))
    for module, _ in imports_of(NAMES[name]):
        if module.split(".")[0] == "paced":
            assert room_of(module) in MAY_IMPORT[here], f"{name} ({here}) imports {module}"


def test_no_circle_of_imports_not_even_inside_functions_or_for_types():
    graph = {
        module: {other for other, _ in imports_of(path, typing_too=True) if other in MODULES and other != module}
        for module, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("name", NAMES)
def test_heavy_packages_stay_in_their_rooms(name):
    for module, top in imports_of(NAMES[name]):
        package = module.split(".")[0]
        rooms = HEAVY.get(package)
        assert rooms is None or name.startswith(rooms), f"{name} imports {module}, allowed only in {rooms}"
        late = name.startswith("paced/pipeline/") and package in {"torch", "transformers"}
        assert not (late and top), f"{name} imports {module} at module level"


@pytest.mark.parametrize("name", NAMES)
def test_matplotlib_is_loaded_by_figures_only_and_they_by_others_inside_functions(name):
    draws = is_figure(module_of(NAMES[name]))
    for module, top in imports_of(NAMES[name]):
        if module.split(".")[0] == "matplotlib":
            assert draws, f"{name} imports {module}"
        if is_figure(module):
            assert draws or not top, f"{name} imports {module} at module level"


def test_the_fence_sees_what_it_should(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        "import torch\n"
        "from typing import TYPE_CHECKING\n"
        "from paced.pipeline import job, nothing\n"
        "def f():\n    from paced import figures\n"
        "if TYPE_CHECKING:\n    from matplotlib.figure import Figure\n"
    )
    seen = [
        ("torch", True), ("typing", True), ("paced.pipeline.job", True), ("paced.pipeline", True),
        ("paced.figures", False),
    ]  # fmt: skip
    assert imports_of(file) == seen
    assert imports_of(file, typing_too=True) == [*seen, ("matplotlib.figure", True)]


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_a_drawer_of_odds_and_ends(name):
    path = NAMES[name]
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}
    # 350 lines is where one asks whether a file holds one idea; 450 is where the answer is no.
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


def packages_after(program: str, *arguments: str) -> set[str]:
    """Top-level packages in sys.modules after ``program`` in a fresh process; what it prints goes to stderr."""
    program = (
        "import contextlib, sys\n"
        "with contextlib.redirect_stdout(sys.stderr):\n"
        + "".join(f"    {line}\n" for line in program.splitlines())
        + "print(*{name.split('.')[0] for name in sys.modules})"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def packages_after_command(*arguments: str) -> set[str]:
    """The same after the command line with ``arguments``."""
    program = "from paced.cli import app\nwith contextlib.suppress(SystemExit):\n    app(sys.argv[1:])"
    return packages_after(program, *arguments)


def test_importing_paced_loads_nothing_heavy():
    assert not {"torch", "transformers", "sympy", "z3", "matplotlib", "pyarrow"} & packages_after("import paced")


def test_help_loads_nothing_heavy():
    heavy = {"torch", "transformers", "sympy", "z3", "matplotlib", "numpy", "pyarrow", "scipy"}
    assert not heavy & packages_after_command("--help")


@pytest.mark.slow
def test_fit_and_weigh_never_load_torch_sympy_or_matplotlib(tmp_path):
    file = tmp_path / "counts.csv"
    rows = [(0, 8), (2, 8), (4, 8), (5, 8), (8, 8)] * 5
    file.write_text("num_passed,num_rollouts\n" + "".join(f"{s},{k}\n" for s, k in rows))
    heavy = {"torch", "transformers", "sympy", "z3", "matplotlib"}
    assert not heavy & packages_after_command("fit", str(file), "--no-figure")
    assert not heavy & packages_after_command("weigh", str(file), "-o", str(tmp_path / "weights.parquet"))
    assert (tmp_path / "weights.parquet").exists()
    problems = "".join(f"{number},what is {number}?,{number}\n" for number in range(len(rows)))
    (tmp_path / "problems.csv").write_text("problem_id,problem,answer\n" + problems)
    named = ["--problems", str(tmp_path / "problems.csv"), "-o", str(tmp_path / "train.parquet")]
    (tmp_path / "named.csv").write_text(
        "problem_id,num_passed,num_rollouts\n" + "".join(f"{n},{s},{k}\n" for n, (s, k) in enumerate(rows))
    )
    assert not heavy & packages_after_command("export", str(tmp_path / "named.csv"), *named, "--to", "verl")
    (tmp_path / "dump.csv").write_text("problem_id,text\n" + "".join(f"{n},{n}\n" for n in range(len(rows))))
    dump = ["--completions", str(tmp_path / "dump.csv"), "--answer-format", "whole", "-o", str(tmp_path / "r.csv")]
    assert not heavy & packages_after_command("rate", str(tmp_path / "problems.csv"), *dump)


@pytest.mark.slow
def test_verify_never_loads_torch():
    assert not {"torch", "transformers", "matplotlib"} & packages_after_command("verify", "--claim", "rem5")


WHOLE_JOB = """
import sys
from pathlib import Path
from paced.lab.cache import NOTE_FILE, WEIGHTS_FILE
from paced.lab.files import STUDENT
from paced.lab.world import build_untrained_world
from paced.pipeline.job import run_job
from paced.pipeline.open import open_run
from paced.run.progress import Silent
from paced.run.storage import file_hash, write_json

run = open_run(Path(sys.argv[1]), tuple(sys.argv[3:]), root=Path(sys.argv[2]))
build_untrained_world(run.lab, run.config().lab)
student = run.lab / STUDENT
write_json(student / NOTE_FILE, {"sha256": file_hash(student / WEIGHTS_FILE)})
run_job(run, Silent())
for method in run.methods().values():
    assert (method.stage(1).student / "config.json").exists()
    assert len(list(method.evaluation.glob("final-*.parquet"))) == 4
"""
"""The lab's job from problems to evaluation on a student of random weights, which spares the pre-training."""


@pytest.mark.slow
def test_no_step_of_a_run_loads_matplotlib(tmp_path):
    smaller = (
        "lab.num_problems=40", "lab.num_heldout=10", "lab.num_prior=10", "training.batch_size=20",
        "methods={unweighted: {weights: uniform}, two-stage: {weights: uniform, stages: "
        "[{share: 0.5}, {divergence: reverse_kl, along: rollout, fresh_rollouts: true, share: 0.5}]}}",
    )  # fmt: skip
    loaded = packages_after(WHOLE_JOB, str(ROOT / "recipes" / "quickstart.yaml"), str(tmp_path), *smaller)
    assert "torch" in loaded
    assert "matplotlib" not in loaded
