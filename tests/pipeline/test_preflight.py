"""One look before the first rollout finds what would stop or spoil a run later, through real tiny models on disk."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
import torch
import transformers
from problems.public_sets import SETS
from tiny_models import CHAT, byte_tokenizer, write_model, write_sums

from paced.cli.steps import distill
from paced.errors import BadRows, ConfigError, MissingExtraError
from paced.grading.extract import EXTRACTIONS
from paced.models.loading import load_model, load_tokenizer
from paced.models.tokens import absent_ids
from paced.pipeline.dry_run import show_dry_run
from paced.pipeline.job import run_job
from paced.pipeline.preflight import check_all, check_inputs
from paced.pipeline.preflight_models import check_weights
from paced.pipeline.preflight_problems import gold_faults
from paced.problems.files import read_problems
from paced.problems.prompts import PROMPT_DAY, make_prompts
from paced.records import Problem
from paced.run.config import GradingConfig, ModelConfig
from paced.run.configfile import apply_overrides, build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.schema import Choice

SIZES = {"vocab_size": 264, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
RECURRENT = {
    "Qwen3_5Text": {**SIZES, **HEADS, "layer_types": ["linear_attention", "full_attention"]},
    "Qwen3Next": {**SIZES, **HEADS, "layer_types": ["linear_attention", "full_attention"]},
    "Lfm2": {**SIZES, **HEADS, "layer_types": ["conv", "full_attention"]},
    "Jamba": {**SIZES, **HEADS, "num_experts": 2},
    "Mamba": {"vocab_size": 264, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "Mamba2": {"vocab_size": 264, "hidden_size": 32, "num_hidden_layers": 2, "num_heads": 8, "head_dim": 8},
    "Rwkv": {"vocab_size": 264, "hidden_size": 32, "num_hidden_layers": 2},
    "FalconH1": {**SIZES, **HEADS, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8},
}


def recipe(tmp_path, model):
    """A recipe over 12 sums and 5 held-out ones for a model folder; a held-out file that is there is kept."""
    write_sums(tmp_path / "sums.jsonl")
    if not (tmp_path / "heldout.jsonl").exists():
        write_sums(tmp_path / "heldout.jsonl", 5, first=20)
    return {
        "name": "tiny",
        "student": {"path": str(model)},
        "problems": {"path": str(tmp_path / "sums.jsonl")},
        "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
        "rollouts": {"num_samples": 4, "max_new_tokens": 6},
        "references": {"max_new_tokens": 6},
        "grading": {"answer_format": "last_number"},
        "weights": "uniform",
        "training": {"batch_size": 4, "learning_rate": 1e-3},
        "evaluation": {
            "sets": [{"name": "heldout", "path": str(tmp_path / "heldout.jsonl")}],
            "sampling": {"num_samples": 2, "max_new_tokens": 6},
        },
    }


def tiny(tmp_path, model, **changes):
    """A recipe over 12 sums for a model folder, with dotted changes."""
    return build_config(apply_overrides(recipe(tmp_path, model), changes, "test"))


def chat_model(folder, template=CHAT, *, eos="<|end|>"):
    """A chat model whose template is as given; its generation config names the token ``eos``."""
    tokenizer = byte_tokenizer(chat=True, eos=eos)
    write_model(folder, "qwen2", chat=True)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    generation = {"eos_token_id": tokenizer.convert_tokens_to_ids(eos)}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


def test_a_generation_config_that_cannot_be_saved_is_said_and_costs_nothing(tmp_path):
    model = write_model(tmp_path / "mine", "gpt2", chat=False)
    text = '{"do_sample": false, "temperature": 0.6, "top_p": 0.9, "eos_token_id": 0}'
    (model / "generation_config.json").write_text(text)
    config = tiny(tmp_path, model, **{"training.batch_size": 12})
    assert any("will not save this generation_config.json again" in note for note in check_inputs(config).notes)
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.claim(config)
    run_job(run, Silent())
    assert (run.stage(1).student / "generation_config.json").read_text() == text


@pytest.mark.parametrize("content", ["{", "[]", "null", "3", '"text"', "{}"])
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])
def test_a_damaged_file_of_a_model_is_named_by_its_folder_or_does_no_harm(tmp_path, file, content):
    model = write_model(tmp_path / "mine", "qwen2", chat=False)
    (model / file).write_text(content)
    config = tiny(tmp_path, model)
    refusals = []
    try:
        check_inputs(config)
        check_weights(config)
    except ConfigError as error:
        refusals.append(str(error))
    assert all(str(model) in refusal for refusal in refusals)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x08\x00\x00\x00\x00\x00\x00\x00notjson!"])
def test_damaged_weights_are_named_by_their_folder(tmp_path, content):
    model = write_model(tmp_path / "mine", "qwen2", chat=False)
    (model / "model.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match="mine: a file of weights is damaged or not safetensors"):
        check_weights(tiny(tmp_path, model))


def test_an_absent_tracker_is_named_before_a_dry_run_and_before_a_stage_alone(tmp_path, gpt2, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)  # as in an environment that has it not
    config = tiny(tmp_path, gpt2, trackers=["trackio"])
    with pytest.raises(MissingExtraError, match="trackers: trackio: needs the package 'trackio'"):
        show_dry_run(config, lambda line: None)
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.claim(config)
    with pytest.raises(MissingExtraError, match="trackers: trackio: needs the package 'trackio'"):
        distill(run.root)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_model_with_recurrent_layers_is_refused_by_name(tmp_path, name):
    settings = getattr(transformers, f"{name}Config")(**RECURRENT[name])
    settings.save_pretrained(tmp_path / "mine")
    byte_tokenizer(chat=False).save_pretrained(tmp_path / "mine")
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"")  # weights are not read
    with pytest.raises(ConfigError, match="student: the engine 'hf' samples models that keep keys and values alone"):
        check_inputs(tiny(tmp_path, tmp_path / "mine"))


def test_a_head_that_transforms_its_input_is_refused_by_its_numbers(tmp_path):
    """ModernBERT's decoder has a dense layer between trunk and projection: the loss was off by a fifth, silently."""
    torch.manual_seed(0)
    settings = transformers.ModernBertDecoderConfig(
        **SIZES, num_attention_heads=4, eos_token_id=0, bos_token_id=0, cls_token_id=0, sep_token_id=0, pad_token_id=0
    )
    model = transformers.ModernBertDecoderForCausalLM(settings)
    model.save_pretrained(tmp_path / "mine")
    byte_tokenizer(chat=False).save_pretrained(tmp_path / "mine")
    with pytest.raises(ConfigError, match="student: .*transforms its logits"):
        check_weights(tiny(tmp_path, tmp_path / "mine"))


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "neox"])
def test_ordinary_heads_pass(tmp_path, family):
    check_weights(tiny(tmp_path, write_model(tmp_path / family, family, chat=False)))


def test_what_the_backend_cannot_do_is_said_with_everything_else(tmp_path, gpt2):
    changes = {"parallel.sequence_parallel": 3, "references.max_new_tokens": 95}
    with pytest.raises(ConfigError, match="96 positions.*must divide the student's 4 attention heads, got 3"):
        check_inputs(tiny(tmp_path, gpt2, **changes))


def test_a_model_with_fewer_rows_than_tokens_is_refused_without_its_weights(tmp_path):
    model = write_model(tmp_path / "mine", "gpt2", chat=False, vocab_size=200)
    with pytest.raises(ConfigError, match="got 200 rows for 260 token ids"):
        check_inputs(tiny(tmp_path, model))


def test_a_student_is_not_asked_to_read_a_reference_beyond_its_positions(tmp_path, gpt2):
    with pytest.raises(ConfigError, match="references.max_new_tokens is 95, .* the student has 96 positions"):
        check_inputs(tiny(tmp_path, gpt2, **{"references.max_new_tokens": 95}))


def test_a_choice_that_cannot_be_built_in_any_stage_or_method_is_refused(tmp_path, gpt2):
    weights = {"name": "beta", "parameters": {"estimator": "unbiased", "alpha": 3, "beta": 3}}
    with pytest.raises(ConfigError, match="weights.parameters do not fit 'beta' .*num_rollouts must be >= alpha"):
        check_inputs(tiny(tmp_path, gpt2, weights=weights))
    stages = [{"share": 0.5}, {"share": 0.5, "divergence": {"name": "jsd", "parameters": {"beta": 1.0}}}]
    with pytest.raises(ConfigError, match=r"stages\.2\.divergence"):
        check_inputs(tiny(tmp_path, gpt2, stages=stages))
    with pytest.raises(ConfigError, match=r"methods.other: .*stages\.2\.divergence"):
        check_all(tiny(tmp_path, gpt2, methods={"other": {"stages": stages}}))


def test_golds_that_no_completion_can_equal_are_named_all_at_once(tmp_path, gpt2):
    golds = ["3", "One and two make 3. #### 3", "5", "It is five"]
    rows = [{"problem": f"{i} + 1", "answer": gold, "solution": "s"} for i, gold in enumerate(golds)]
    (tmp_path / "golds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = tiny(tmp_path, gpt2, **{"problems.path": str(tmp_path / "golds.jsonl")})
    with pytest.raises(BadRows, match="2 rows cannot be used") as caught:
        check_inputs(config)
    assert [row.row for row in caught.value.rows] == [2, 4]


def test_a_held_out_gold_is_checked_by_the_grading_of_its_own_set(tmp_path, gpt2):
    (tmp_path / "heldout.jsonl").write_text('{"problem": "20 + 1", "answer": "so #### 21"}\n')
    with pytest.raises(BadRows, match="row 1, column 'answer': found 'so #### 21'.*answer_format=last_number"):
        check_inputs(tiny(tmp_path, gpt2))
    (tmp_path / "heldout.jsonl").write_text('{"problem": "20 + 1", "answer": "\\\\frac{42}{2}"}\n')
    preset = [{"name": "heldout", "path": str(tmp_path / "heldout.jsonl"), "preset": "math-500"}]
    with pytest.raises(ConfigError) as caught:
        check_inputs(tiny(tmp_path, gpt2, **{"evaluation.sets": preset, "grading.answer_format": "digits"}))
    assert "frac" not in str(caught.value)  # the preset reads boxes: only its 30,000 tokens are too many here


def test_held_out_problems_that_are_trained_on_are_named_and_a_whole_set_is_refused(tmp_path, gpt2):
    write_sums(tmp_path / "heldout.jsonl", 5)
    with pytest.raises(ConfigError, match="5 of 5 problems of 'heldout' are training problems .*nothing is held out"):
        check_inputs(tiny(tmp_path, gpt2))
    write_sums(tmp_path / "heldout.jsonl", 5, first=9)
    notes = check_inputs(tiny(tmp_path, gpt2)).notes
    assert any("3 of 5 problems of 'heldout' are training problems" in note for note in notes)


TEMPLATES = {
    "{{ raise_exception('no system role') }}": "cannot render messages of the roles system, user .*no system role",
    "{% for m in messages %}": "cannot render messages",
    "{{ messages[7]['content'] }}": "cannot render messages",
    "{{ 1 // 0 }}": "cannot render messages .*ZeroDivisionError",
    "<|user|>{{ messages[-1]['content'] }}<|assistant|>": "lacks the system message",
    "<|user|>{{ messages[0]['content'] }}<|assistant|>": "lacks the message with the problem",
    "": "without a chat template",
    "{{ '' }}": "has no token",
    "{{ range(1, 100000) | random }}" + CHAT: "writes something else each time",
    "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}": "lacks the message with the problem",
    "{% for m in messages %}{{ m['content'][:3] }}{% endfor %}": "lacks the message with the problem",
    "{% for m in messages %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endfor %}": "has no token",
    "{{ now() }}" + CHAT: "cannot render messages .*'now' is undefined",
    "{{ unknown.field }}" + CHAT: "cannot render messages .*'unknown' is undefined",
    "{% include 'other' %}" + CHAT: "cannot render messages .*no loader",
    "{{ ''.__class__.__mro__ }}" + CHAT: "cannot render messages .*SecurityError",
    "{% for m in messages %}{{ m['content'] }}{% break %}{% endfor %}": "lacks the message with the problem",
    "{{ messages[-1]['content'] | tojson }}": "lacks the system message",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_fails_or_loses_a_message_is_one_sentence(tmp_path, template):
    model = chat_model(tmp_path / "mine", template)
    changes = {"prompts.use_chat_template": True, "prompts.system": "Put the answer in a box."}
    with pytest.raises(ConfigError, match=TEMPLATES[template]):
        check_inputs(tiny(tmp_path, model, **changes))


def test_a_template_that_does_not_open_the_answers_turn_is_said(tmp_path):
    model = chat_model(tmp_path / "mine", CHAT.partition("{% if add_generation_prompt")[0])
    notes = check_inputs(tiny(tmp_path, model, **{"prompts.use_chat_template": True})).notes
    assert any("ends a prompt with '<|end|>' and opens no turn to answer in" in note for note in notes)


def test_a_teacher_that_is_the_student_and_reads_no_more_is_said(tmp_path, gpt2):
    note = "nothing sets them apart"
    assert not any(note in one for one in check_inputs(tiny(tmp_path, gpt2)).notes)
    alike = {"prompts.teacher": "{problem}"}
    assert any(note in one for one in check_inputs(tiny(tmp_path, gpt2, **alike)).notes)
    named = alike | {"teacher.path": str(gpt2)}
    assert any(note in one for one in check_inputs(tiny(tmp_path, gpt2, **named)).notes)
    other = named | {"teacher.revision": "an-earlier-one"}  # of a folder nothing reads it
    assert not any(note in one for one in check_inputs(tiny(tmp_path, gpt2, **other)).notes)


def test_a_date_in_a_template_is_the_same_on_every_day_and_said(tmp_path):
    model = chat_model(tmp_path / "mine", "{{ strftime_now('%d %b %Y') }} " + CHAT)
    config = tiny(tmp_path, model, **{"prompts.use_chat_template": True})
    inputs = check_inputs(config)
    assert inputs.student_prompts[0].text.startswith(PROMPT_DAY.strftime("%d %b %Y"))
    assert any("the student's chat template writes a date" in note for note in inputs.notes)
    problems = read_problems(config.problems.path).problems
    again = make_prompts(
        problems, reader="student", config=config.prompts, tokenizer=load_tokenizer(ModelConfig(path=str(model)))
    )
    assert again == inputs.student_prompts


def test_an_answers_end_that_ends_no_completion_is_named_with_what_to_set(tmp_path):
    model = chat_model(tmp_path / "mine", eos="<|system|>")
    changes = {"prompts.use_chat_template": True}
    with pytest.raises(ConfigError, match=r"ends an answer with '<\|end\|>' .*Set prompts.end_of_answer='<\|end\|>'"):
        check_inputs(tiny(tmp_path, model, **changes))
    check_inputs(tiny(tmp_path, model, **changes, **{"prompts.end_of_answer": "<|end|>"}))


def test_a_base_student_of_an_instruct_teacher_needs_the_teachers_end_as_well(tmp_path):
    base = chat_model(tmp_path / "base", eos="<|system|>")
    teacher = chat_model(tmp_path / "teacher")
    changes = {"teacher.path": str(teacher)}
    with pytest.raises(ConfigError, match=r"teacher: ends with '<\|end\|>' .*Set prompts.end_of_answer='<\|end\|>'"):
        check_inputs(tiny(tmp_path, base, **changes))
    check_inputs(tiny(tmp_path, base, **changes, **{"prompts.end_of_answer": "<|end|>"}))


def test_a_prompt_that_ends_with_the_end_is_refused(tmp_path, gpt2):
    changes = {"prompts.student": "{problem}<|end|>"}
    with pytest.raises(ConfigError, match=r"student's prompt of 12 of 12 problems ends with '<\|end\|>'"):
        check_inputs(tiny(tmp_path, gpt2, **changes))


def test_a_prompt_that_begins_twice_is_refused(tmp_path):
    model = write_model(tmp_path / "mine", "gpt2", chat=False)
    tokenizer = byte_tokenizer(chat=False)
    tokenizer.bos_token = "<|user|>"
    tokenizer.save_pretrained(model)
    changes = {"prompts.student": "<|user|><|user|>{problem}"}
    with pytest.raises(ConfigError, match=r"begins twice with '<\|user\|>'"):
        check_inputs(tiny(tmp_path, model, **changes))


def test_the_dry_run_says_what_was_seen(tmp_path, gpt2):
    said: list[str] = []
    write_sums(tmp_path / "heldout.jsonl", 5, first=9)
    show_dry_run(tiny(tmp_path, gpt2), said.append)
    assert any("are training problems" in line for line in said)


@pytest.mark.parametrize("answer_format", sorted(EXTRACTIONS))
def test_a_bare_gold_is_right_in_every_answer_format(answer_format):
    problem = Problem(problem_id="a", problem="1 + 2", answer="3")
    assert gold_faults([problem], GradingConfig(answer_format=Choice(answer_format))) == []


def test_an_embedding_row_in_a_gap_of_the_tokenizers_ids_is_never_trained(tmp_path):
    model = write_model(tmp_path / "mine", "gpt2", chat=False, vocab_size=280, tied=False)
    file = json.loads((model / "tokenizer.json").read_text())
    vocabulary = file["model"]["vocab"]
    vocabulary[next(token for token, number in vocabulary.items() if number == 259)] = 270
    (model / "tokenizer.json").write_text(json.dumps(file))
    config = tiny(tmp_path, model, **{"training.batch_size": 12, "training.weight_decay": 0})
    assert absent_ids(load_tokenizer(config.student)) == tuple(range(259, 270))
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.claim(config)
    run_job(run, Silent())
    before, after = (
        load_model(ModelConfig(path=str(path)), dtype="float32").get_output_embeddings().weight
        for path in (model, run.stage(1).student)
    )
    assert torch.equal(before[259:270], after[259:270])
    assert not torch.equal(before[:259], after[:259])
    assert not torch.equal(before[270], after[270])


def test_faults_of_every_kind_are_one_refusal_with_the_rows_of_the_files(tmp_path):
    """Options, another tokenizer, a template, lengths, held-out problems and rows of two files: all of them at once."""
    student = chat_model(tmp_path / "mine", "<|user|>{{ messages[-1]['content'] }}<|assistant|>")
    teacher = write_model(tmp_path / "theirs", "gpt2", chat=True)
    tokenizer = byte_tokenizer(chat=True)
    tokenizer.add_tokens(["<|more|>"])
    tokenizer.save_pretrained(teacher)
    changes = {
        "prompts.use_chat_template": True,
        "prompts.system": "Answer.",
        "teacher.path": str(teacher),
        "weights": "betta",
        "rollouts.max_new_tokens": 900,
        "evaluation.sets": [
            {"name": "same", "path": str(tmp_path / "sums.jsonl")},
            {"name": "broken", "path": str(tmp_path / "broken.jsonl")},
        ],
    }
    config = tiny(tmp_path, student, **changes)
    sums = (tmp_path / "sums.jsonl").read_text().splitlines()
    sums[6] = '{"problem": "four", "answer": "#### 4", "solution": "4"}'
    (tmp_path / "sums.jsonl").write_text("\n\n".join(sums))
    (tmp_path / "broken.jsonl").write_text('{"problem": "2+2", "answer": "4"}\n{"problem": "2+3"}\n')
    with pytest.raises(ConfigError) as caught:
        check_all(config)
    for sentence in (
        "weights must be one of",
        "teacher: must share the student's tokenizer",
        "the student's prompt of 12 of 12 problems lacks the system message",
        "rollouts.max_new_tokens is 900",
        "12 of 12 problems of 'same' are training problems",
        "broken.jsonl: 1 row cannot be used.\n  row 2, column 'answer'",
        "sums.jsonl: 1 row cannot be used.\n  row 13, column 'answer'",
    ):
        assert str(caught.value).count(sentence) == 1


def test_rows_of_faults_are_those_of_the_file_though_some_were_passed_over(tmp_path, gpt2):
    rows = ["", '{"problem": "1 + 1", "answer": "2"}', "", '{"problem": "1 + 1", "answer": "2"}']
    rows += ['{"problem": "1 + 2", "answer": "#### 3"}', '{"problem": "<|end|>?", "answer": "3"}']
    (tmp_path / "golds.jsonl").write_text("\n".join(rows))
    config = tiny(tmp_path, gpt2, **{"problems.path": str(tmp_path / "golds.jsonl"), "prompts.teacher": "{problem}"})
    with pytest.raises(BadRows, match="2 rows cannot be used") as caught:
        check_inputs(config)
    assert [(row.row, row.column) for row in caught.value.rows] == [(5, "answer"), (6, "problem")]


def test_what_a_method_alone_is_at_fault_for_has_its_name_and_the_rest_is_said_once(tmp_path, gpt2):
    changes = {"rollouts.max_new_tokens": 900, "methods": {"other": {"references": {"max_new_tokens": 95}}}}
    with pytest.raises(ConfigError) as caught:
        check_all(tiny(tmp_path, gpt2, **changes))
    assert str(caught.value).count("rollouts.max_new_tokens is 900") == 1
    assert "methods.other: references.max_new_tokens is 95" in str(caught.value)


def test_methods_share_the_prompts_that_their_settings_leave_the_same(tmp_path, gpt2):
    """A set of a million problems is read once, however many methods are compared."""
    methods = {"other": {"weights": "uniform"}, "asked": {"prompts": {"student": "Now: {problem}"}}}
    inputs, of_method = check_all(tiny(tmp_path, gpt2, methods=methods))
    assert of_method["other"].student_prompts is inputs.student_prompts
    assert of_method["asked"].problems is inputs.problems
    assert of_method["asked"].student_prompts[0].text.startswith("Now: ")


@pytest.fixture
def benchmarks(tmp_path):
    """MATH-500 and MMLU in small, as they are published."""
    return {
        "problems.path": str(SETS["HuggingFaceH4/MATH-500"].write(tmp_path / "math.parquet")),
        "evaluation.sets": [
            {"name": "mmlu", "path": str(SETS["cais/mmlu"].write(tmp_path / "mmlu.parquet")), "role": "stability"}
        ],
        "grading.answer_format": "boxed",
    }


def test_public_benchmarks_go_through_every_look_and_a_preset_has_its_own_length(tmp_path, gpt2, benchmarks):
    config = tiny(tmp_path, gpt2, **benchmarks, **{"rollouts.max_new_tokens": 4, "references.max_new_tokens": 4})
    config = dataclasses.replace(config, prompts=dataclasses.replace(config.prompts, teacher="{problem}"))
    assert [one.answer_type for one in check_inputs(config).problems] == ["math", "math"]
    (mmlu,) = config.evaluation.sets
    sets = (dataclasses.replace(mmlu, preset="mmlu"),)
    unused = dataclasses.replace(config.evaluation.sampling, max_new_tokens=30_000)
    config = dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, sets=sets, sampling=unused))
    with pytest.raises(ConfigError, match=r"preset=mmlu: max_new_tokens is 4096, .* Set .*mmlu\.preset=none") as caught:
        check_inputs(config)
    assert "30000" not in str(caught.value)
