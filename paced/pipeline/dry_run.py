"""``paced run --dry-run``: the first prompts exactly as the models will read them, and what the run will cost at most.

Nothing is trained and nothing stays on the disk. A recipe with a lab gets its problems and a model of random weights
in a temporary folder, since only texts and sizes are looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from paced.run.config import RunConfig
from paced.run.folder import RunFolder


def show_dry_run(config: RunConfig, say: Callable[[str], None]) -> None:
    """Check a recipe's inputs and say its first prompts and its cost.

    Args:
        config: the recipe, with the lab's paths.
        say: called with each line.

    Raises:
        ConfigError: as for the run itself.
        BadRows: rows of a problem file that cannot be used.
    """
    from paced.models.loading import quiet_transformers
    from paced.pipeline.cost import estimate_cost
    from paced.pipeline.preflight import check_all
    from paced.problems.files import read_problems

    quiet_transformers()
    with tempfile.TemporaryDirectory(prefix="paced-dry-run-") as temporary:
        if config.lab is not None:
            from paced.lab.world import build_untrained_world

            run = RunFolder(Path(temporary) / config.name)
            run.claim(config)
            build_untrained_world(run.lab, config.lab)
            config = run.config()
        inputs = check_all(config)
        for note in inputs.notes:
            say(note)
        num_heldout = sum(len(read_problems(item.path).problems) for item in config.evaluation.sets)
        say(f"{len(inputs.problems):,} problems, {num_heldout:,} held out in {len(config.evaluation.sets)} sets")
        for reader, prompts in (("student", inputs.student_prompts), ("teacher", inputs.teacher_prompts)):
            say(f"first {reader} prompt ({len(prompts[0].token_ids)} tokens):")
            say("  | " + prompts[0].text.replace("\n", "\n  | "))
        cost = estimate_cost(config, inputs, num_heldout)
    say("cost of one run, completions counted at their token limits:")
    for sentence in cost.sentences():
        say(f"  {sentence}")
    if config.methods:
        say(f"{len(config.methods)} compared methods train and evaluate; they share the first rollouts and references")
