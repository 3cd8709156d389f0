"""``paced run --dry-run``: the first prompts exactly as the models will read them, and what the run will cost at most.

Nothing is trained and nothing stays on the disk. A recipe with a lab gets its problems and a model of random weights
in a temporary folder, since only texts and sizes are looked at. A recipe that compares methods shows every one of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paced.lab.world import build_untrained_world
from paced.models.loading import quiet_transformers
from paced.pipeline.cost import estimate_cost
from paced.pipeline.preflight import Inputs, check_all
from paced.problems.control import control_tokens
from paced.problems.prompts import Prompt
from paced.run.config import RunConfig
from paced.run.configfile import with_method
from paced.run.folder import RunFolder
from paced.run.inert import inert
from paced.train.trackers import check_trackers

Say = Callable[[str], None]
"""Called with each line."""
SHOWN_TOKENS = 80
"""Tokens shown from each end of a prompt."""
LINE_WIDTH = 110
"""Characters of a line of tokens."""


def show_dry_run(config: RunConfig, say: Say) -> None:
    """Check a recipe's inputs and say its first prompts and its cost, then those of every method that it compares.

    Args:
        config: the recipe with the lab's paths, or one method of it (``with_method``).
        say: called with each line.

    Raises:
        ConfigError: as for the run itself.
        BadRows: rows of a problem file that cannot be used.
        MissingExtraError: a tracker that is not installed.
    """
    quiet_transformers()
    check_trackers(config)
    _show(config, lambda line: say(inert(line)))  # prompts are texts of strangers, and a terminal obeys them


def _show(config: RunConfig, say: Say) -> None:
    with tempfile.TemporaryDirectory(prefix="paced-dry-run-") as temporary:
        if config.lab is not None:
            run = RunFolder(Path(temporary) / config.name)
            run.claim(config)
            build_untrained_world(run.lab, config.lab)
            config = run.config()
        inputs, methods = check_all(config)
        for note in inputs.notes:
            say(note)
        _say_inputs(config, inputs, say)
        if not methods:
            _say_plan(config, inputs, say)
            return
        say("")
        say(f"{len(methods)} compared methods; what their settings leave the same is sampled once and counted in each:")
        for name, method_inputs in methods.items():
            settings = with_method(config, name)
            say("")
            say(f"method '{name}'")
            _say_inputs(settings, method_inputs, say, beside=inputs)
            _say_plan(settings, method_inputs, say)


def _say_inputs(config: RunConfig, inputs: Inputs, say: Say, *, beside: Inputs | None = None) -> None:
    """How many problems there are, and the first prompt of each reader; only what differs from ``beside``."""
    if beside is None or len(inputs.problems) != len(beside.problems):
        held_out = sum(inputs.num_heldout.values())
        say(f"{len(inputs.problems):,} problems, {held_out:,} held out in {len(config.evaluation.sets)} sets")
    for reader in ("student", "teacher"):
        prompt = getattr(inputs, f"{reader}_prompts")[0]
        if beside is None or prompt != getattr(beside, f"{reader}_prompts")[0]:
            say(f"first {reader} prompt ({len(prompt.token_ids)} tokens):")
            say("  | " + prompt.text.replace("\n", "\n  | "))
            say(f"first {reader} prompt as tokens, those of control between « and »:")
            for line in token_lines(prompt, inputs.tokenizer, chat=config.prompts.use_chat_template):
                say(f"  > {line}")


def token_lines(prompt: Prompt, tokenizer: Any, *, chat: bool) -> list[str]:
    """A prompt as its tokens: the id and the text of each; of a long one the beginning and the end.

    Args:
        prompt: what a model reads.
        tokenizer: of that model.
        chat: the prompt was made with the tokenizer's chat template.
    """
    control = control_tokens(tokenizer, chat=chat).by_id
    shown = [
        f"{number} «{control[number]}»" if number in control else f"{number} {tokenizer.decode([number])!r}"
        for number in prompt.token_ids
    ]
    if len(shown) > 2 * SHOWN_TOKENS:
        middle = f"… {len(shown) - 2 * SHOWN_TOKENS:,} more …"
        shown = [*shown[:SHOWN_TOKENS], middle, *shown[-SHOWN_TOKENS:]]
    lines: list[str] = []
    for one in shown:
        if lines and len(lines[-1]) + len(one) + 2 <= LINE_WIDTH:
            lines[-1] += f"  {one}"
        else:
            lines.append(one)
    return lines


def _say_plan(config: RunConfig, inputs: Inputs, say: Say) -> None:
    """What will be trained, and what it costs at most."""
    say(f"  weights {config.weights}, batches by {config.training.batching}")
    for number, stage in enumerate(config.stages, start=1):
        say(f"  stage {number}: {stage}")
    say("  cost, completions counted at their token limits:")
    for sentence in estimate_cost(config, inputs).sentences():
        say(f"    {sentence}")
