"""The sizes in which the fused loss is cut follow from shapes and the machine's cache, and from nothing timed."""

from __future__ import annotations

import pytest
import torch

from paced.errors import ConfigError
from paced.train.loss import fused_divergence, make_divergence
from paced.train.loss.blocks import BlockSizes, second_level_cache

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def read_anew():
    second_level_cache.cache_clear()
    yield
    second_level_cache.cache_clear()


def test_a_larger_cache_takes_larger_tiles_and_the_same_chunks(monkeypatch):
    sizes = []
    for megabytes in (1, 2, 8):
        monkeypatch.setenv("PACED_L2_BYTES", str(megabytes * 2**20))
        second_level_cache.cache_clear()
        sizes.append(BlockSizes.fitting(4096, CPU))
    assert [size.rows for size in sizes] == [8, 16, 64]
    assert len({(size.tokens, size.columns) for size in sizes}) == 1
    # the tiles of one side and the other, p, q and their difference fit together
    assert all(5 * 4 * 4096 * size.rows < mb * 2**20 for size, mb in zip(sizes, (1, 2, 8), strict=True))


def test_a_cache_size_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("PACED_L2_BYTES", "2M")
    with pytest.raises(ConfigError, match="PACED_L2_BYTES must be a whole number of bytes, got '2M'"):
        second_level_cache()


def test_another_cache_changes_no_byte_of_a_loss_on_one_thread(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    hidden, teacher = (torch.randn(40, 16, generator=generator) for _ in range(2))
    head = torch.randn(20_000, 16, generator=generator)
    results = []
    for size in (2**18, 2**24):
        monkeypatch.setenv("PACED_L2_BYTES", str(size))
        second_level_cache.cache_clear()
        student = hidden.clone().requires_grad_()
        out = fused_divergence(
            student_hidden=student,
            teacher_hidden=teacher,
            student_head=head,
            teacher_head=head,
            token_weights=torch.full((40,), 1 / 40),
            divergence=make_divergence("jsd"),
        )
        out.loss.backward()
        results.append((out.token_losses, student.grad))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
