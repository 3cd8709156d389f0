"""A template that asks for the date: one day whatever the clock says, and no other letter of the prompt changes."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from tiny_models import CHAT, byte_tokenizer

from paced.errors import ConfigError
from paced.problems.dates import on_one_day
from paced.problems.prompts import PROMPT_DAY, chat_text

MESSAGES = [{"role": "user", "content": "2 + 2?"}]
LLAMA = (
    "{%- if not date_string is defined %}\n    {%- if strftime_now is defined %}\n"
    '        {%- set date_string = strftime_now("%d %b %Y") %}\n    {%- else %}\n'
    '        {%- set date_string = "26 Jul 2024" %}\n    {%- endif %}\n{%- endif %}\n'
)
"""How Llama 3's own template begins."""
DATED = [
    "{{ strftime_now('%d %b %Y') }} " + CHAT,
    "\n\n{{ strftime_now( format='%Y-%m-%d' ) }}\n" + CHAT,
    "  {% if true %}\n{{ strftime_now('%A') ~ strftime_now(\"%H:%M\") }}{% endif %}" + CHAT,
    LLAMA + "{{ date_string }}\n" + CHAT,
]


@pytest.mark.parametrize("template", DATED)
def test_the_prompt_is_transformers_own_on_that_day(template):
    tokenizer = byte_tokenizer(chat=True)
    tokenizer.chat_template = template
    today = datetime.now().date()
    own = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    dates = on_one_day(template, today)["paced_dates"]
    assert isinstance(dates, dict)
    if not any("%H" in one for one in dates):  # a clock that goes on, not a day
        assert chat_text(tokenizer, MESSAGES, day=today, add_generation_prompt=True) == own
    told = chat_text(tokenizer, MESSAGES, day=PROMPT_DAY, add_generation_prompt=True)
    assert len(told.split("2 + 2?")[1]) == len(own.split("2 + 2?")[1])
    for one in dates:
        assert PROMPT_DAY.strftime(one) in told


@pytest.mark.parametrize("template", [CHAT, "\n {% for one in messages %}\n{{ one.content }}{% endfor %}"])
def test_a_template_that_does_not_ask_is_left_as_it_is(template):
    assert on_one_day(template, date(2024, 7, 26)) == {}


def test_a_format_that_is_put_together_is_refused_and_not_left_empty():
    tokenizer = byte_tokenizer(chat=True)
    tokenizer.chat_template = "{{ strftime_now('%d' ~ ' %b') }} " + CHAT
    with pytest.raises(ConfigError, match=r"must be given its format as a text, got %d %b"):
        chat_text(tokenizer, MESSAGES, add_generation_prompt=True)
