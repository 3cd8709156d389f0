"""docs/backends.md: its scripts run as they are written, on models of kilobytes, and its table names every backend."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from tiny_models import write_model

from paced.run.configfile import build_config
from paced.train.backends import BACKENDS
from paced.train.lora import Lora, lora_of

PAGE = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's scripts are run: both models and a file of rows."""
    root = tmp_path_factory.mktemp("page")
    for who, family in (("student", "qwen2"), ("teacher", "llama")):
        write_model(root / who, family, chat=False)
    rows = [
        {"prompt": f"{i} + {i}", "completion": f" = {2 * i}", "weight": i % 3, "teacher_prompt": f"{2 * i}. {i} + {i}"}
        for i in range(8)
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'pin_memory' argument")  # Trainer's default, on a machine without an accelerator
def test_the_scripts_on_the_page_train_a_student_and_then_adapters(folder, monkeypatch):
    monkeypatch.chdir(folder)
    plain, lora = SCRIPTS
    names: dict[str, object] = {}
    exec(compile(plain, "backends.md", "exec"), names)  # the page of this repository
    before, after = (load_file(f"{where}/model.safetensors") for where in ("student", "trained"))
    assert any(not before[name].equal(after[name]) for name in before)
    exec(compile(lora, "backends.md", "exec"), names)
    adapters = load_file("adapters/adapter_model.safetensors")
    assert any(tensor.any() for name, tensor in adapters.items() if "lora_B" in name)


def test_the_script_is_about_ten_lines():
    lines = [line for line in SCRIPTS[0].splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= 10


def test_the_table_has_a_column_for_every_backend():
    header = next(line for line in PAGE.splitlines() if line.startswith("| |"))
    assert re.findall(r"`(\w+)`", header) == list(BACKENDS)


def test_the_recipe_on_the_page_asks_for_adapters():
    (recipe,) = RECIPES
    config = build_config({"name": "page", "problems": {"path": "p.jsonl"}} | yaml.safe_load(recipe))
    assert lora_of(config.student) == Lora(rank=16, alpha=32, targets=("q_proj", "v_proj"))
