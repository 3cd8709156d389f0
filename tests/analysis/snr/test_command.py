"""paced snr RUN, killed anywhere, ends in the same bytes; threads, padding and precision hardly matter."""

from __future__ import annotations

import signal
from pathlib import Path

import killing
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from snr_setup import data, difference, model
from tiny_models import write_model, write_sums
from training_setup import measure_snr

from paced.analysis import lm_head_snr
from paced.analysis.snr.tables import missing_fit_reason
from paced.errors import ConfigError
from paced.run.folder import RunFolder

DIFFERS = {"timings.jsonl", "environment.json", ".lock", ".lock-holder.json"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A measured run of a random model, its bytes, its operations and its folder."""
    folder = tmp_path_factory.mktemp("snr")
    write_model(folder / "model", "gpt2", chat=False)
    write_sums(folder / "sums.jsonl", 8)
    killing.run(measure_snr, str(folder), "warm", root=Path("/nowhere"))
    operations, _ = killing.measure(measure_snr, str(folder), "calm", root=folder / "calm")
    return folder, killing.contents(folder / "calm", DIFFERS), operations


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.35, 0.6, 0.75, 0.9])
def test_killed_anywhere_and_asked_again_it_ends_in_the_same_bytes(measured, share):
    folder, expected, operations = measured
    root = folder / f"killed-{share}"
    hits = killing.run_until_done(
        measure_snr, str(folder), root.name, root=root, kills=[{"at_operation": round(share * operations)}]
    )
    assert hits == 1
    found = killing.contents(root, DIFFERS)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.slow
def test_a_polite_signal_keeps_finished_problems(measured):
    folder, expected, operations = measured
    root = folder / "asked"
    at = round(0.6 * operations)
    code, _ = killing.run(measure_snr, str(folder), "asked", root=root, at_operation=at, number=signal.SIGTERM)
    assert code == 75
    killing.run_until_done(measure_snr, str(folder), "asked", root=root, kills=[])
    assert killing.contents(root, DIFFERS) == expected


@pytest.mark.slow
def test_tables_hold_every_problem_and_other_settings_are_refused(measured):
    folder, _, _ = measured
    run = RunFolder(folder / "calm" / "run")
    rows = pq.read_table(run.snr / "forward_kl.parquet").to_pylist()
    assert len(rows) == 8
    assert missing_fit_reason(run, "forward_kl").startswith("at least 10 measured problems")
    for row in rows:
        gram = np.array(row["gram"])
        assert gram.shape == (4, 4)
        assert np.allclose(gram, gram.T)
        signal_ = (gram.sum() - np.trace(gram)) / 12
        assert row["debiased_snr_squared"] == pytest.approx(signal_ / row["noise"], rel=1e-9)
    from paced.analysis.snr.command import SnrSettings, measure_run
    from paced.run.progress import Silent

    with pytest.raises(ConfigError, match="num_samples: 8 -> 16"):
        measure_run(run, SnrSettings(num_samples=16, per_bin=8), Silent())


@pytest.mark.parametrize("loss", ["reverse_kl_sampled", "forward_kl"])
def test_the_number_of_threads_changes_nothing_beyond_rounding(loss):
    student, teacher = model("qwen3", 0, torch.float32), model("qwen3", 1, torch.float32)
    prompts, shown, answers = data(6, 2)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(
                lm_head_snr(
                    student, teacher, student_prompts=prompts, teacher_prompts=shown, completions=answers, loss=loss,
                    token_reduction="sum",
                )
            )  # fmt: skip
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert difference(two.matrix(), one.matrix()) < 1e-5


def test_in_float32_batches_agree_to_rounding():
    student, teacher = model("llama", 0, torch.float32), model("llama", 1, torch.float32)
    prompts, shown, answers = data(5, 3)
    options = {"loss": "reverse_kl_sampled", "token_reduction": "sum"}
    given = {"student_prompts": prompts, "teacher_prompts": shown, "completions": answers}
    alone = lm_head_snr(student, teacher, max_tokens=1, **given, **options)
    padded = lm_head_snr(student, teacher, **given, **options)
    for one, two in zip(alone, padded, strict=True):
        assert difference(two.matrix(), one.matrix()) < 1e-5
        assert two.paper_snr == pytest.approx(one.paper_snr, rel=1e-4)


def test_left_padding_gives_the_same_hidden_states_and_so_the_same_gradients():
    """Padding is an inner matter of lm_head_snr; a user's own left-padded batch must give it the same states."""
    student = model("qwen3", 0, torch.float64)
    prompts, _, answers = data(3, 1)
    rows = [[*prompts[0], *answer] for answer in answers[0]]
    width = max(map(len, rows)) + 2
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        states = student.model(input_ids=ids, attention_mask=mask, position_ids=places).last_hidden_state
    W, gradients = student.lm_head.weight.detach(), []
    for state, answer in zip(states, answers[0], strict=True):
        h = state[-len(answer) - 1 : -1]
        delta = torch.softmax(h @ W.T, -1)
        delta[range(len(answer)), answer] -= 1
        gradients.append((delta.T @ h).flatten())
    g = torch.stack(gradients).numpy()
    (row,) = lm_head_snr(
        student, None, student_prompts=prompts, completions=answers, loss="cross_entropy", token_reduction="sum"
    )  # fmt: skip
    assert difference(row.matrix(), g @ g.T) < 1e-10
