"""Every block of code on the pages of the docs runs, or is held to what the code takes.

Python with a prompt gives what the page says, here; scripts without one run in the tests of their page, tutorials in
``test_tutorials.py``, how-to pages too, explanations in ``test_explanation.py``. Recipes are read,
and commands have options and settings that exist.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from paced.cli.commandpage import arguments, commands
from paced.run.configfile import build_config
from paced.run.configpage import recipe_keys
from paced.run.yamltext import parse_yaml

ROOT = Path(__file__).parents[1]
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if not {"tutorials", "howto", "explanation"} & set(path.parts)
}
ELSEWHERE = {"docs/weights.md", "docs/own_weighting.md"}
"""Pages with prompts whose own tests run their examples."""
SCRIPTS = {"docs/backends.md", "docs/trl.md", "docs/rate.md"}
"""Pages with scripts that their own tests run."""
NOT_RUN = {"docs/other_trainers.md": "imports NeMo-RL, which is not installed here"}
"""Page -> why its Python cannot run; it compiles."""
PAGES = [page for page, text in TEXTS.items() if ">>> " in text and page not in ELSEWHERE]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """(page, text) of every fenced block of a language."""
    for page, text in TEXTS.items():
        for block in re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            yield page, block


@pytest.mark.parametrize("page", PAGES)
def test_the_lines_of_a_page_run(page):
    failed, tried = doctest.testfile(str(ROOT / page), module_relative=False, encoding="utf-8")
    assert (failed, tried > 0) == (0, True)


def test_python_without_a_prompt_is_run_by_a_test_of_its_page():
    scripts = [(page, block) for page, block in blocks("python") if ">>> " not in block]
    assert {page for page, _ in scripts} == SCRIPTS | NOT_RUN.keys()
    for page, block in scripts:
        compile(block, page, "exec")


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_every_recipe_on_a_page_is_one(page, block):
    recipe = parse_yaml(block, page)
    assert build_config({"name": "page", "problems": {"path": "problems.jsonl"}} | recipe)


def typed() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of every command of paced in a shell block."""
    for page, block in blocks("(?:bash|sh|console|shell)"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            start = next((place for place, word in enumerate(words) if Path(word).name == "paced"), None)
            if start is not None and len(words) > start + 1 and not words[start + 1].startswith("-"):
                yield page, list(takewhile(lambda word: word not in ("|", "&&", ";"), words[start + 1 :]))


def test_every_option_and_setting_of_a_command_on_a_page_exists():
    known, keys = commands(), {key.name for key in recipe_keys()}
    unknown = []
    for page, words in typed():
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        if name not in known:
            continue  # said by tests/cli/test_commands.py
        options = {option for argument in arguments(known[name]) for option in argument.names} | {"--help"}
        for word in words[1:]:
            option, key = word.partition("=")[0], re.sub(r"\.\d+\.", ".N.", word.partition("=")[0])
            if word.startswith("-") and word != "-" and option not in options:
                unknown.append(f"{page}: paced {name} {option}")
            elif re.fullmatch(r"[a-z_]+(\.[A-Za-z_]+)+=.*", word) and not (
                {key, key.rpartition(".")[0], f"{key}.name", f"{key}.path"} & keys
            ):
                unknown.append(f"{page}: paced {name} {word}")
    assert not unknown
