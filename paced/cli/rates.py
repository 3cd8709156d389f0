"""From a problem file to pass rates, and from these to a training set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from paced.cli.app import app
from paced.cli.arguments import NORMAL, Count, JsonFile, Seed, Verbosity
from paced.cli.endings import FAILED
from paced.cli.extras import need_extra
from paced.cli.running import write_json_text
from paced.run.inert import say

Output = Annotated[Path, Parameter(alias="-o")]
Words = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)]


@app.command(group="Pass rates and training sets")
def rate(
    problems: Path,
    *,
    output: Output,
    model: str | None = None,
    server: Words = (),
    completions: str | None = None,
    columns: str = "",
    num_samples: Annotated[Count | None, Parameter(alias="-k")] = None,
    temperature: Annotated[float | None, Parameter(validator=Number(gte=0))] = None,
    top_p: Annotated[float | None, Parameter(validator=Number(gt=0, lte=1))] = None,
    max_new_tokens: Count | None = None,
    prompt: str | None = None,
    system: str | None = None,
    chat_template: bool | None = None,
    enable_thinking: bool | None = None,
    end_of_answer: str | None = None,
    max_student_tokens: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    too_long: Literal["error", "quarantine"] | None = None,
    answer_format: str | None = None,
    screen: str | None = None,
    limit: Count | None = None,
    shard: str = "",
    merge: Annotated[bool, Parameter(negative="")] = False,
    adapter: str | None = None,
    on_bad_row: Literal["error", "quarantine"] | None = None,
    seed: Seed | None = None,
    dtype: Literal["float32", "bfloat16"] | None = None,
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = None,
    revision: str | None = None,
    engine: str = "",
    engine_parameter: Words = (),
    served_model: str = "",
    json: JsonFile = None,
    verbosity: Verbosity = NORMAL,
) -> int:
    """Rate every problem of a file: sample K answers, grade them, count; the same command continues after a kill.

    Completions and verdicts are kept in the folder TABLE.rollouts; of completions that are given, the verdicts in
    TABLE.grades.jsonl. A larger K keeps those that are there, another answer format grades them anew, any other change
    is refused. Exits with 1 when a problem could not be asked.

    Parameters
    ----------
    problems
        JSON, CSV or parquet, a folder of files or a pattern; the columns of public data sets are known.
    output
        The table: .parquet, .csv or .jsonl.
    model
        Who answers: a folder or a hub name. With --server whose tokenizer and chat template make the prompts.
    server
        Base URL of a server of the model; several are one pool.
    completions
        Take the completions of another tool from this file, sample none.
    columns
        Which of its columns are which, as text=response,problem_id=uid.
    num_samples
        Completions of each problem, K, by default 8.
    temperature
        Sampling temperature, by default 1; 0 takes the most probable token.
    top_p
        Nucleus mass, by default 1.
    max_new_tokens
        Longest completion, in tokens, by default 8192.
    prompt
        User message, by default `{problem}`, which stands for the problem's text.
    system
        System message; by default one that asks for `\\boxed{}` with the answer format boxed, else none.
    chat_template
        Wrap the messages with the tokenizer's chat template, as is done by default, or send the bare text.
    enable_thinking
        Passed to the chat template; must be given for a model whose template knows it.
    end_of_answer
        Text of one token that ends a completion besides the model's own.
    max_student_tokens
        Longest prompt, chat template included, by default 1024; 0 for no limit.
    too_long
        By default error, a longer prompt stops the command; quarantine names its problem in TABLE.quarantine.jsonl.
    answer_format
        Where the answer is written, by default boxed; last_number, first_line, gsm8k, whole or digits.
    screen
        Two numbers K1,K: K1 completions of each problem, and K of those that are neither never nor always solved.
    limit
        Rate the first so many problems only.
    shard
        Part i/n, 0 <= i < n: every n-th problem, into TABLE.shards. Independent jobs rate the parts.
    merge
        Put the tables of all parts together; samples nothing.
    adapter
        How the columns are read, by default auto; see `paced data inspect`.
    on_bad_row
        By default error; quarantine puts bad rows aside in TABLE.bad-rows.jsonl.
    seed
        The seed of all noise, by default 1.
    dtype
        Type of the weights, by default float32.
    attention
        Attention kernel of the engine hf, by default sdpa.
    revision
        Commit of a hub repository.
    engine
        What samples, by default hf: transformers in this process; with --server, server.
    engine_parameter
        A parameter of the engine as key=value; may be given several times.
    served_model
        What the servers call the model, by default the only one that they have.
    json
        Write the summary as one JSON object to this file; `-` prints it instead of the text.
    """
    import json as json_text

    from paced.pipeline import rate as job
    from paced.pipeline.rate_config import MERGED, columns_of, engine_of, read_grading_config, read_rate_config
    from paced.pipeline.rate_shards import merge_rates
    from paced.rollouts.shards import Shard

    if merge and (shard or completions is not None):
        raise ValueError("rate: --merge puts tables together that are there. Leave out --shard and --completions.")
    if shard and completions is not None:
        raise ValueError("rate: --shard deals problems to jobs that sample. Leave it out, or --completions.")
    if columns and completions is None:
        raise ValueError("rate: --columns describes the file of --completions, got none. Give both, or neither.")
    options = {
        "problems.path": str(problems), "problems.limit": limit, "problems.adapter": adapter,
        "problems.on_bad_row": on_bad_row, "student.path": model, "student.dtype": dtype,
        "student.attention": attention, "student.revision": revision, "prompts.student": prompt,
        "prompts.system": system, "prompts.use_chat_template": chat_template,
        "prompts.enable_thinking": enable_thinking, "prompts.end_of_answer": end_of_answer,
        "prompts.max_student_tokens": max_student_tokens, "prompts.too_long": too_long,
        "rollouts.num_samples": num_samples, "rollouts.sampling_temperature": temperature, "rollouts.top_p": top_p,
        "rollouts.max_new_tokens": max_new_tokens, "grading.answer_format": answer_format, "seed": seed,
        "screen": screen,
        "rollouts.engine": engine_of(engine, engine_parameter, servers=server, served_model=served_model),
    }  # fmt: skip
    if merge:
        settings = read_grading_config(options, reads=MERGED, because="tables are put together")
        rated = merge_rates(settings, output)
    elif completions is not None:
        rated = job.rate_completions(read_grading_config(options), completions, output, columns=columns_of(columns))
    else:
        need_extra("rate", "train")
        part = Shard.parse(shard) if shard else None
        rated = job.rate(read_rate_config(options), output, verbosity.progress(), part=part)
    text, data = rated.report()
    if not write_json_text(json, json_text.dumps(data, indent=2, allow_nan=False)):
        say(text)
    return FAILED if rated.left_out else 0


@app.command(group="Pass rates and training sets")
def export(
    table: Path,
    *parameters: str,
    problems: Path,
    to: str,
    output: Output,
    weight: str | None = None,
    fitted: Annotated[bool, Parameter(negative="")] = False,
    min_weight: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0,
    drop_zero: Annotated[bool, Parameter(negative="")] = False,
    prompt: str = "{problem}",
    system: str = "",
    text: Annotated[bool, Parameter(negative="")] = False,
    data_source: str = "",
    ability: str = "math",
    split: str = "train",
    adapter: str = "auto",
) -> int:
    """Write problems with pass rates and weights as a training set for TRL, verl, NeMo-RL, slime or any reader.

    Weights are those of the table where `paced weigh` made it, else of the weight function beta, or of the one named.

    Parameters
    ----------
    table
        Pass rates as `paced rate` writes them, any table of counts with ids, or the table of `paced weigh`.
    parameters
        Settings of the weight function, as alpha=1 beta=2 estimator=posterior.
    problems
        The problem file that was rated.
    to
        The form: trl (prompt as messages), verl (RLHFDataset), nemo-rl, slime, tinker, or hf (the problem file's
        columns as they are). For a trainer that takes no weight, the reason is said.
    output
        The training set: .parquet, or .jsonl but for verl; tinker reads .jsonl only.
    weight
        Weight function to use; see `paced weigh`.
    fitted
        Take the beta kernel with the exponents that `paced fit` finds in the table.
    min_weight
        Leave out problems of a smaller weight than this.
    drop_zero
        Leave out problems of weight zero.
    prompt
        User message; `{problem}` stands for the problem's text, which is all of it by default.
    system
        System message.
    text
        For trl: the prompt as text, not as messages.
    data_source
        For verl: what chooses the reward function; by default each problem's source, or the name of its file.
    ability
        For verl: the kind of task.
    split
        For verl: the split in extra_info.
    adapter
        How the columns of the problem file are read; see `paced data inspect`.
    """
    from paced.pipeline.export import export_training_set, has_weights
    from paced.pipeline.export_rows import ExportOptions
    from paced.weights.table.report import fitted_kernel, weight_function

    if fitted and (parameters or weight):
        raise ValueError("export: --fitted chooses the weights. Leave out --weight and parameters.")
    own = not (fitted or weight or parameters) and has_weights(table)
    function = None if own else fitted_kernel(table) if fitted else weight_function(weight or "beta", parameters)
    options = ExportOptions(
        prompt=prompt, system=system, as_text=text, data_source=data_source, ability=ability, split=split
    )
    exported = export_training_set(
        table,
        problems,
        output,
        to=to,
        weight=function,
        min_weight=min_weight,
        drop_zero=drop_zero,
        options=options,
        adapter=adapter,
    )
    say(exported.report)
    return 0
