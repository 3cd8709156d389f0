"""The held-out sets of a recipe as tasks of lm-eval and lighteval, so that a sceptic measures them without ``paced``.

    <folder>/README.md            the commands
    <folder>/<set>/test.jsonl     prompt (the student's message, not yet in the chat template) and answer
    <folder>/<set>.yaml           lm-eval: the same sampling, k repeats, mean@k by math_answers.py
    <folder>/math_answers.py      lm-eval's grader: math-verify alone, none of ours
    <folder>/lighteval_tasks.py   lighteval: the same, graded by its own avg@n

Their graders are not ours: lm-eval's reads the last box, lighteval's takes an expression without one as well, and both
compare by math-verify. A difference in verdicts is what such a check is for. Left out: pass@k and paired intervals,
which neither reports.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from paced.errors import ConfigError
from paced.problems.files import read_problems
from paced.problems.prompts import fill
from paced.run.config import EvaluationSet, RunConfig
from paced.run.presets import set_sampling
from paced.run.storage import write_atomic
from paced.run.yamltext import yaml_text

GRADER = '''"""mean@k over the samples of a problem, graded by math-verify: the last boxed answer, else nothing."""

from math_verify import LatexExtractionConfig, parse, verify

BOXED = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]


def mean_at_k(doc, results):
    samples = results[0] if isinstance(results[0], list) else results
    gold = parse("\\\\\\\\boxed{" + doc["answer"] + "}")
    right = [verify(gold, parse(text.split("</think>")[-1], extraction_config=BOXED)) for text in samples]
    return {"mean_at_k": sum(right) / len(right)}
'''
LIGHTEVAL = '''"""Held-out sets of a paced run, for lighteval ... --custom-tasks lighteval_tasks.py."""

from pathlib import Path

from lighteval.metrics.metrics import Metrics
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc


def prompt(line, task_name=None):
    return Doc(task_name=task_name, query=line["prompt"], choices=[line["answer"]], gold_index=0)


def task(name, folder, num_samples, max_new_tokens):
    return LightevalTaskConfig(
        name=name,
        prompt_function=prompt,
        hf_repo=str(Path(__file__).resolve().parent / folder),
        hf_subset="default",
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        generation_size=max_new_tokens,
        metrics=[Metrics.avg_at_n_math(sample_params={"n": num_samples})],
    )


TASKS_TABLE = [
'''


def export_tasks(config: RunConfig, folder: Path) -> list[Path]:
    """Write the held-out sets as task files.

    Args:
        config: the recipe, or a run's.
        folder: where the files go; files of an earlier export are replaced.

    Returns: the files.

    Raises:
        ConfigError: the recipe has no held-out set, or one of its files cannot be read.
    """
    sets = config.evaluation.sets
    if not sets:
        raise ConfigError(f"{config.name}: has no held-out set to write as a task. Name one in evaluation.sets.")
    files = {folder / "math_answers.py": GRADER}
    lighteval = [LIGHTEVAL]
    for item in sets:
        rows = [
            {"problem_id": one.problem_id, "prompt": fill(config.prompts.student, one), "answer": one.answer}
            for one in read_problems(item.path, adapter=item.adapter).problems
        ]
        files[folder / item.name / "test.jsonl"] = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        function = "process_results: !function math_answers.mean_at_k\n"  # a tag that no safe dumper writes
        files[folder / f"{item.name}.yaml"] = yaml_text(lm_eval_task(config, item, folder)) + function
        sampling = set_sampling(config, item)
        numbers = f"{sampling.num_samples}, {sampling.max_new_tokens}"
        lighteval.append(f'    task("{task_name(config, item)}", "{item.name}", {numbers}),\n')
    files[folder / "lighteval_tasks.py"] = "".join([*lighteval, "]\n"])
    files[folder / "README.md"] = commands(config)
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text)
    return list(files)


def task_name(config: RunConfig, item: EvaluationSet) -> str:
    """What both call a set. Not the set's name alone: lighteval takes a task that is a path for a file of tasks."""
    return f"{config.name}_{item.name}"


def lm_eval_task(config: RunConfig, item: EvaluationSet, folder: Path) -> dict[str, Any]:
    """One set as a task of lm-eval, without its grader; paths are whole, since lm-eval reads them from anywhere."""
    sampling = set_sampling(config, item)
    return {
        "task": task_name(config, item),
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str((folder / item.name / "test.jsonl").resolve())}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {
            "until": [],
            "do_sample": sampling.sampling_temperature > 0,
            "temperature": sampling.sampling_temperature,
            "top_p": sampling.top_p,
            "top_k": 0,
            "max_gen_toks": sampling.max_new_tokens,
        },
        "repeats": sampling.num_samples,
        "filter_list": [{"name": "all", "filter": [{"function": "take_first_k", "k": sampling.num_samples}]}],
        "metric_list": [{"metric": "mean_at_k", "aggregation": "mean", "higher_is_better": True}],
        "num_fewshot": 0,
        "metadata": {"version": 1},
    }


def commands(config: RunConfig) -> str:
    """What to type, with the prompts as this recipe writes them."""
    names = [task_name(config, item) for item in config.evaluation.sets]
    chat = " --apply_chat_template" if config.prompts.use_chat_template else ""
    system = " --system_instruction SYSTEM" if config.prompts.system else ""
    about = f"SYSTEM is the recipe's `prompts.system`:\n\n{config.prompts.system}\n\n" if config.prompts.system else ""
    sampling = [set_sampling(config, item) for item in config.evaluation.sets]
    parameters = sorted({f"temperature:{one.sampling_temperature:g},top_p:{one.top_p:g},top_k:0" for one in sampling})
    lighteval = "\n".join(
        f'lighteval accelerate "model_name=MODEL,generation_parameters={{{one}}}" TASKS '
        "--custom-tasks lighteval_tasks.py"
        for one in parameters
    )
    return (
        f"# Held-out sets of '{config.name}'\n\n{about}"
        "lm-eval 0.4.13 with math-verify:\n\n    lm-eval run --model hf --model_args pretrained=MODEL --include_path . "
        f"--tasks {' '.join(names)}{chat}{system} --output_path OUT --log_samples\n\n"
        f"lighteval, TASKS among {', '.join(names)}, one line for each way of sampling:\n\n    "
        + lighteval.replace("\n", "\n    ")
        + "\n\nlighteval samples only where MODEL's generation_config.json says `do_sample: true`; it ends with an "
        "error where that is absent and a set has several samples.\n"
    )
