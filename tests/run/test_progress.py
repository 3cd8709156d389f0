"""What a person reads while work continues: how far, how fast, how long; what was there before counts as no speed."""

from __future__ import annotations

import re
import time

from paced.run.progress import Lines


def test_speed_and_time_left_are_those_of_this_call_and_not_of_what_was_there(capsys):
    with Lines(every_seconds=0.0).track("work", 1_000_000, done=999_990) as advance:
        time.sleep(0.05)
        advance(1)
        advance(9)
    lines = capsys.readouterr().err.splitlines()
    speeds = [float(re.search(r"([\d.,]+) a second", line)[1].replace(",", "")) for line in lines]
    assert lines[0].startswith("work: 999,991 of 1,000,000, ")
    assert lines[-1].startswith("work: 1,000,000 of 1,000,000 in ")
    assert max(speeds) <= 10 / 0.05
