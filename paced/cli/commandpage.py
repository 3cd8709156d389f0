"""Every command with its arguments, the exit codes and the environment variables: docs/commands.md.

    python -m paced.cli.commandpage docs/commands.md

The page is read off the application: what ``paced COMMAND --help`` shows is what is written here. A test compares the
page in docs/ with it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from cyclopts import App
from cyclopts.argument import Argument

from paced.cli import app
from paced.cli.endings import EXIT_CODES

INTRODUCTION = """\
# Every command

Written by `python -m paced.cli.commandpage docs/commands.md`; `paced COMMAND --help` says the same. A TARGET is a
recipe (YAML, [its keys](recipe.md)) or the folder of a run that has begun. Settings follow a recipe as
`section.field=value`.

Results go to the standard output, notes, progress and errors to the standard error. An error is one sentence: where,
the rule, what came, what to do. `paced --install-completion` completes commands and options in your shell.
"""

VARIABLES = {
    "PACED_CACHE": "Folder of what is kept between runs: students of the lab, downloaded weights. By default `paced` "
    "in `XDG_CACHE_HOME`, or in `~/.cache`.",
    "PACED_LAB_CACHE": "Folder of the lab's students alone. By default `lab` in the cache.",
    "PACED_TRACEBACK": "`1` shows the traceback of whatever ends a command, before its sentence.",
    "PACED_L2_BYTES": "Bytes of a processor core's second-level cache, from which the loss takes its tiles, where the "
    "machine states it wrongly or not at all.",
    "PACED_EVAL_PYTHON": "Interpreter that has lm-eval (`pip install 'paced[eval]'` in an environment of its own); "
    "by default the one that runs `paced`",
    "PACED_VLLM_PYTHON": "Interpreter that has vLLM, where a recipe names none; `make vllm` makes "
    "`.venv/vllm/bin/python`.",
    "HF_HUB_OFFLINE": "`1` takes models from disk and the hub's cache only (read by Hugging Face's packages).",
    "OMP_NUM_THREADS": "Threads of one process (read by PyTorch); written to `environment.json`, as it can change the "
    "rounding of a sum.",
}
"""Environment variable -> what it does."""

GROUPS = {
    "Whole jobs": "From rollouts to the report.",
    "Steps of a run": "Each step alone; a step that is finished is not done again. `weigh` (below) is one as well.",
    "Pass rates and training sets": "From a problem file to pass rates, and from these to what another trainer reads: "
    "[the whole way](rate.md).",
    "Problem sets": "What a file of problems holds, parts of it that share nothing, and what it shares with another: "
    "[data](data.md).",
    "Weights from a table": "Without any model, from counts of passes.",
    "Theory": "The claims of the paper, checked by machine.",
    "This installation": "What is installed, and the recipes that come with it.",
}
"""Group of commands -> what they have in common, in the order of the page."""


def commands(application: App = app) -> dict[str, App]:
    """Name -> command, in the order of the help.

    Example:
        >>> "fit" in commands()
        True
    """
    named: dict[str, App] = {}
    for name in application:
        if not name.startswith("-"):
            nested = commands(application[name])
            named |= {f"{name} {one}": command for one, command in nested.items()} or {name: application[name]}
    return named


def arguments(command: App) -> Iterator[Argument]:
    """The arguments of a command that its help shows, in that order."""
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.parse and argument.show:
            yield argument


def command_page() -> str:
    """The page, in Markdown: the commands by group, then exit codes and environment variables."""
    groups: dict[str, list[str]] = {}
    for name, command in commands().items():
        groups.setdefault(_group_of(command), []).append(_command_text(name, command))
    parts = [INTRODUCTION]
    for group_name in sorted(groups, key=list(GROUPS).index):
        parts += [f"## {group_name}\n\n{GROUPS[group_name]}\n", *groups[group_name]]
    codes = {str(code): meaning for code, meaning in EXIT_CODES.items()}
    parts += ["## Exit codes\n", _table(("code", "meaning"), _as_rows(codes))]
    parts += ["## Environment variables\n", _table(("variable", "meaning"), _as_rows(VARIABLES))]
    return "\n".join(parts)


def _group_of(command: App) -> str:
    groups = command.group if isinstance(command.group, tuple) else (command.group,)
    return ", ".join(map(str, groups))


def _command_text(name: str, command: App) -> str:
    described = list(arguments(command))
    positional = " ".join(_placeholder(one) for one in described if _is_positional(one))
    rows = [(_spelling(one), _takes(one), _default(one), _one_line(one.parameter.help or "")) for one in described]
    usage = f"### `paced {name} {positional}".rstrip() + (" [OPTIONS]`" if rows else "`")
    table = _table(("argument", "takes", "default", "meaning"), rows) if rows else "It takes no arguments.\n"
    return "\n".join([usage, "", _about(command), "", table])


def _about(command: App) -> str:
    """What a command's docstring says before its parameters, in paragraphs."""
    text = inspect.cleandoc(command.help).partition("Parameters\n")[0]
    return "\n\n".join(_one_line(paragraph) for paragraph in text.split("\n\n") if paragraph.strip())


def _is_positional(argument: Argument) -> bool:
    return argument.field_info.kind is not inspect.Parameter.KEYWORD_ONLY


def _placeholder(argument: Argument) -> str:
    name = argument.names[0].removeprefix("--").upper()
    return f"[{name}…]" if argument.field_info.kind is inspect.Parameter.VAR_POSITIONAL else name


def _spelling(argument: Argument) -> str:
    names = [_placeholder(argument)] if _is_positional(argument) else argument.names
    return ", ".join(f"`{name}`" for name in names)


def _takes(argument: Argument) -> str:
    """What an argument's value must be, in words."""
    choices = argument.get_choices(force=True)
    if choices:
        return "one of " + ", ".join(f"`{choice}`" for choice in choices)
    hint = argument.hint
    kinds = [kind for kind in get_args(hint) or (hint,) if kind not in (NoneType, ...)]
    words = {Path: "a path", int: "an integer", float: "a number", str: "text", bool: "nothing"}[kinds[0]]
    return f"{words}, more than once" if get_origin(hint) is tuple else words


def _default(argument: Argument) -> str:
    default: Any = argument.field_info.default
    if argument.required:
        return "must be given"
    if isinstance(default, bool):
        return "on" if default else "off"
    return "–" if default in (None, "", (), inspect.Parameter.empty) else f"`{default}`"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([*lines, ""])


def _as_rows(rows: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"`{name}`", meaning) for name, meaning in rows.items()]


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(command_page(), encoding="utf-8")
