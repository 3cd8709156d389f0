"""The files that are read or written, one entry each: where, in which form, what for, and what a row is.

``formatpage.py`` makes docs/reference/file_formats.md of it.
"""

from __future__ import annotations

from typing import NamedTuple

from paced.analysis.anatomy.rows import AnatomyRow
from paced.analysis.snr.bins import BinSnr, CrossBin
from paced.analysis.snr.exponents import KernelExponents
from paced.analysis.snr.rows import ProblemGram
from paced.pipeline.quarantine import LongPrompt
from paced.pipeline.rate_result import LeftOut
from paced.pipeline.references import ReferenceCheck
from paced.problems.labels import ProblemLabels
from paced.problems.prompts import Prompt
from paced.records import DocumentScore, Grade, PassRate, Problem, ProblemWeight, Rollout


class Format(NamedTuple):
    """One kind of file."""

    path: str
    """Where it is, below the run folder unless it says otherwise."""
    form: str
    """JSON lines, parquet, JSON, …"""
    about: str
    """What it is, who writes it, who reads it."""
    record: type | None = None
    """What a row is; None for a file whose keys are in ``keys``."""
    keys: tuple[tuple[str, str, str], ...] = ()
    """(key, type, meaning) of a file without a record class."""


INPUTS = (
    Format(
        "problem files", "JSON lines, a JSON list, CSV, TSV, parquet",
        "What you bring as `problems.path`, each gzipped or not; a folder or a pattern of several. In these columns or in those of a "
        "public data set ([adapters](../data.md)). `problem` and `answer` must be there; without `problem_id` a row gets a hash of its text.",
        Problem,
    ),
    Format(
        "tables of pass rates", "CSV, TSV, JSON lines, a JSON list, parquet",
        "What `paced fit`, `paced weigh` and `pass_rates.from` read: one row for each problem with counts, in whatever usual spelling "
        "(`k,n`; `passes,total`; `num_correct,num_samples`; a rate beside a count), or one row for each graded rollout.",
        keys=(
            ("problem_id", "text or number", "Unique; rows are numbered from 0 where there is no such column."),
            ("num_passed", "integer", "s, 0 <= s <= K. A column named as a rate holds s/K, to four decimals."),
            ("num_rollouts", "integer", "K >= 1. Rows with K = 0 are left out and counted."),
            ("outcome", "true or false, 0 or 1, words", "Instead of counts, with one row for each rollout: whether it passed."),
            ("sample_index", "integer", "With `outcome`: which rollout of its problem a row is; a repeated one is an error."),
        ),
    ),
    Format(
        "completions of another tool", "JSON lines, JSON, CSV, parquet, gzipped or not",
        "What `rollouts.from` and `references.from` read, one completion a row or a list of them ([foreign files](../rollouts.md)).",
        keys=(
            ("problem_id", "text or number", "Which problem; or `prompt`, the exact text of the problem or of its prompt."),
            ("text", "text or a list", "The completion, or all of a problem's."),
            ("token_ids", "list of integers", "Its tokens; needed for training along rollouts and for the SNR."),
            ("finish_reason", "text", "`stop` or `length` (and the spellings of vLLM, verl and servers); absent counts as ended."),
            ("sample_index", "integer", "Which of the K samples, from 0; otherwise by the order of the file."),
        ),
    ),
    Format(
        "recipes", "YAML of at most 1 MiB", "What `paced run` reads: [every key](../recipe.md).",
    ),
)  # fmt: skip

RUN = (
    Format("config.yaml", "YAML", "The resolved recipe, [every key](../recipe.md) written out; paths that begin with `run:` are below the run."),
    Format(
        "environment.json", "JSON", "Where the run began, without host, user or path.",
        keys=(
            ("paced, commit", "text", "This package's version, and the commit of a checkout."),
            ("python, machine, system", "text", "Of the interpreter and the kind of machine."),
            ("threads", "text", "`OMP_NUM_THREADS`, which can change the rounding of a sum."),
            ("seed", "integer", "The run's seed."),
            ("versions", "mapping", "Package -> version, of those that are installed."),
            ("engines", "mapping", "Step -> what sampled its completions, and what of it is repeated exactly."),
        ),
    ),
    Format(
        "steps/", "JSON, one file for each step", "What a step was computed from, by content; a file that changed since is noticed ([training](../training.md)).",
        keys=(
            ("step", "mapping", "`name`, `stage` (0 for none) and `part`."),
            ("settings", "mapping", "The settings that its results depend on."),
            ("read, wrote", "mappings", "File or input -> SHA-256; `wrote` is empty until the step is complete."),
            ("taken_from", "mapping", "`path`, `sha256` and `columns` of a file that took the step's place; absent for one that was computed."),
            ("sha256", "text", "Hash of the record itself."),
        ),
    ),
    Format("problems.parquet", "parquet", "The training set as it was read: the columns of a problem file above."),
    Format(
        "problems.json", "JSON", "What became of the rows of the problem file: `rows` = `problems` + `repeated` + `quarantined`.",
        keys=(
            ("adapter", "text", "How the columns were read."),
            ("rows, problems, repeated, quarantined, used", "integers", "Counts of rows; `used` is what `problems.limit` left."),
        ),
    ),
    Format(
        "bad-rows.jsonl", "JSON lines", "Rows put aside by `problems.on_bad_row: quarantine`; absent where there are none.",
        keys=(
            ("file, row, id", "text, integer, text", "Where it is: a line of text or the number of a record, from 1."),
            ("faults", "list", "`column`, `found` and `fix` of everything that is wrong with it."),
            ("record", "mapping or null", "Its cells; null for a line that is not a row."),
        ),
    ),
    Format("quarantine.jsonl", "JSON lines", "Problems left out by `prompts.too_long: quarantine`; absent where there are none.", LongPrompt),
    Format("stage-k/student-prompts.jsonl, teacher-prompts.jsonl", "JSON lines", "What each reader reads, as it was sampled and trained.", Prompt),
    Format("stage-k/rollouts.jsonl", "JSON lines", "The student's K completions of every problem. It grows while it is sampled; K can be topped up.", Rollout),
    Format("stage-k/grades.jsonl", "JSON lines", "The verdict on each rollout, in the same order (`grades.jsonl.before`: by other settings, until they are graded again).", Grade),
    Format("stage-k/pass_rates.parquet", "parquet", "Counts of each problem, Eq. (1); also what `paced rate` writes as parquet, CSV or JSON lines.", PassRate),
    Format("stage-k/weights.parquet", "parquet", "What the trainer multiplies by; also what `paced weigh` writes.", ProblemWeight),
    Format("stage-k/references.jsonl", "JSON lines", "The teacher's solution of each problem, in the columns of `rollouts.jsonl`; the samples it was chosen from are in `reference-samples/`."),
    Format("stage-k/reference-checks.jsonl", "JSON lines", "What is wrong with each reference, if anything ([grading](../grading.md)).", ReferenceCheck),
    Format(
        "stage-k/checkpoints/step-NNNNNN/", "a folder: manifest.json, state.json, tensors in safetensors",
        "Complete or absent; one whose hashes differ is refused by name and the one before it is used.",
        keys=(
            ("manifest.json", "mapping", "Every other file -> SHA-256; written last."),
            ("state.json", "mapping", "Step, stage, number of ranks, hash of the weights in force when the stage began."),
        ),
    ),
    Format("stage-k/student/", "a Hugging Face folder", "The trained student: safetensors, configuration, tokenizer and a model card; `adapter/` beside it for LoRA, by PEFT."),
    Format("metrics.jsonl", "JSON lines", "One line for each optimiser step, reproducible values only: [metrics](metrics.md)."),
    Format("timings.jsonl", "JSON lines", "One line for each optimiser step of what differs from run to run: [metrics](metrics.md)."),
    Format("eval/CHECKPOINT-SET.parquet", "parquet", "Counts of `base` and `final` on each held-out set, in the columns of `pass_rates.parquet`; completions and verdicts are beside it in `-rollouts.jsonl` and `-grades.jsonl`, what the student reads in `SET-prompts.jsonl`."),
    Format("eval/SET-labels.parquet", "parquet", "Difficulty and subject of a set's problems, where its file has them.", ProblemLabels),
    Format("eval/lm-eval/CHECKPOINT.parquet", "parquet", "Scores of `paced lm-eval`; its settings are beside it as JSON.", DocumentScore),
    Format("snr/LOSS.jsonl", "JSON lines", "The Gram matrix of each problem's K gradients, from which every SNR form follows ([SNR](../snr.md)).", ProblemGram),
    Format("snr/LOSS-curve.parquet", "parquet", "The SNR curve: one row for each bin of pass rates that holds problems.", BinSnr),
    Format("snr/LOSS-cross.parquet", "parquet", "Signal against the spread between problems of one bin.", CrossBin),
    Format("snr/LOSS-kernel.parquet", "parquet", "The power law that fits the problems, one row or none; `LOSS-no-kernel.json` says why there is none. Counts are in `snr/pass_rates.parquet`, settings in `snr/settings.json`.", KernelExponents),
    Format("stage-k/anatomy/rows.parquet", "parquet", "Sizes and cosines of each pass-rate group's gradients (`paced anatomy`).", AnatomyRow),
    Format("report.html, figures/", "HTML, PNG and CSV", "The page, which opens offline; each figure has a CSV of the same name with the columns that it draws ([metrics](metrics.md))."),
    Format("lab/", "JSON lines and Hugging Face folders", "What the embedded world wrote: problem files and a student, as a user would bring them."),
    Format("methods/METHOD/", "a run folder", "One for each compared method, with the files above."),
)  # fmt: skip

BESIDE = (
    Format(
        "TABLE.left-out.jsonl", "JSON lines", "Beside a table of `paced rate`: problems that do not fit into the model's context. "
        "`TABLE.rollouts/` holds completions and verdicts, `TABLE.quarantine.jsonl` prompts over a limit, `TABLE.problems.json` and "
        "`TABLE.bad-rows.jsonl` what became of the rows.", LeftOut,
    ),
    Format("TABLE.grades.jsonl", "JSON lines", "Beside a table of `paced rate --completions`: the verdict on each completion, in their order.", Grade),
)  # fmt: skip

SECTIONS = {"What you bring": INPUTS, "The run folder": RUN, "Beside a table of `paced rate`": BESIDE}
"""Heading -> its files."""
