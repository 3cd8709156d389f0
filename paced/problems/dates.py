"""A chat template that asks for the date is told one day, the same in every step of a run.

transformers lets templates call ``strftime_now``, which reads the clock; version 5.24 turns a function that a caller
passes under that name into text. So the template gets a macro of that name, which looks up the formats it asks for.
Left out: a format that the template puts together while it runs; it is refused.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache

NAME, DATES = "strftime_now", "paced_dates"
ASKED = re.compile(rf"""{NAME}\(\s*(?:format\s*=\s*)?(["'])(.*?)\1\s*\)""")
MACRO = (
    f"{{% macro {NAME}(format) %}}{{{{ {DATES}[format] if format in {DATES} else "
    f"raise_exception('{NAME} must be given its format as a text, got ' ~ format) }}}}{{% endmacro %}}\n"
)
"""One line before the template; transformers' Jinja drops the line's end, so that nothing else of the text changes."""


@cache  # a run renders thousands of prompts with one template
def on_one_day(template: str, day: date) -> dict[str, object]:
    """What ``apply_chat_template`` is given besides, so that a template which asks for the date is told ``day``.

    Args:
        template: the tokenizer's own chat template.
        day: what it is told.

    Returns:
        nothing where the template does not ask; else the template with its macro, and format -> date.

    Example:
        >>> given = on_one_day("Today: {{ strftime_now('%d %b %Y') }}", date(2024, 7, 26))
        >>> given["paced_dates"], str(given["chat_template"]).endswith("Today: {{ strftime_now('%d %b %Y') }}")
        ({'%d %b %Y': '26 Jul 2024'}, True)
        >>> on_one_day("{{ messages[0].content }}", date(2024, 7, 26))
        {}
    """
    if NAME not in template:
        return {}
    formats = {match.group(2) for match in ASKED.finditer(template)}
    return {"chat_template": MACRO + template, DATES: {one: day.strftime(one) for one in sorted(formats)}}
