"""The tracked SNR curve reads what the trainer writes."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis import tracked_snr
from paced.run.folder import RunFolder
from paced.run.storage import append_lines


def test_the_curve_is_a_centred_mean_with_its_standard_error(tmp_path):
    run, without = RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")
    values = [0.3, -0.1, 0.2, 0.6]
    append_lines(run.metrics, [{"step": k, "loss": 1.0, "head_snr_squared": v} for k, v in enumerate(values, start=1)])
    append_lines(without.metrics, [{"step": 1, "loss": 1.0}])
    table = tracked_snr({"a": run, "b": without}, window=3)
    assert table["method"] == ["a"] * 4
    assert table["step"] == [1, 2, 3, 4]
    assert table["smoothed"] == pytest.approx([0.1, 0.4 / 3, 0.7 / 3, 0.4])
    assert table["standard_error"][1] == pytest.approx(np.std(values[:3], ddof=1) / np.sqrt(3))
    with pytest.raises(ValueError, match="window must be odd"):
        tracked_snr({"a": run}, window=4)
