r"""Units after a number: which words and symbols are one, and when two spellings are the same unit.

A unit beside a number never changes its value, so reading one is safe only where it cannot be something else: a word
after a blank or in ``\text{}`` may be any noun, but letters glued to the digits are a unit only if this file knows them
and they are not variables: ``5cm`` is a length, ``3x`` and ``4s`` are products, ``5k`` and ``5M`` are magnitudes.
"""

from __future__ import annotations

import re

_PREFIXES = {"k": "kilo", "K": "kilo", "c": "centi", "d": "deci", "m": "milli", "µ": "micro", "n": "nano"}
_PREFIXES |= {"h": "hecto", "M": "mega", "G": "giga", "T": "tera"}
_PREFIXED = {
    "m": ("meter", "kcdmµn"), "g": ("gram", "kcdmµn"), "L": ("liter", "kcdmµ"), "l": ("liter", "cdmµ"),
    "s": ("second", "mµn"), "J": ("joule", "kmMG"), "W": ("watt", "kmMG"), "V": ("volt", "kmM"), "A": ("ampere", "mµ"),
    "N": ("newton", "kmM"), "Pa": ("pascal", "khMG"), "Hz": ("hertz", "kMG"), "mol": ("mole", "km"),
    "Wh": ("watthour", "kMG"), "B": ("byte", "kKMGT"), "eV": ("electronvolt", "kMG"),
}  # fmt: skip
"""Symbol -> its name and the prefixes that are customary; others would be products of variables, as in 5cs."""
_SPELLINGS = {
    "hour": "h hr hrs 小时", "minute": "min mins 分钟", "second": "sec secs 秒", "day": "天 日", "week": "wk wks 周",
    "month": "个月", "year": "yr yrs 年 岁", "inch": "in inches", "foot": "ft feet", "yard": "yd yds", "mile": "mi",
    "ounce": "oz", "pound": "lb lbs £ GBP 磅", "ton": "tonne tonnes 吨", "gallon": "gal gals", "acre": "",
    "degree": "° deg degs 度", "degree C": "°C Celsius 摄氏度", "degree F": "°F Fahrenheit",
    "%": "percent pct percents percentage", "$": "dollar dollars USD US$ 美元", "€": "euro euros EUR",
    "¥": "yuan yen CNY RMB JPY 元", "₹": "rupee rupees INR Rs", "cent": "¢", "radian": "rad rads",
    "liter": "litre litres 升", "meter": "metre metres 米", "gram": "gramme grammes 克", "kilometer/hour": "kph kmh",
    "mile/hour": "mph", "revolution/minute": "rpm", "unit": "", "piece": "个", "person": "people 人",
    "kilometer": "公里 千米", "centimeter": "厘米", "kilogram": "千克 公斤", "calorie": "cal cals",
    "kilocalorie": "kcal", "pixel": "px",
}  # fmt: skip
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
SINGLE_LETTERS = frozenset("mgshlLNJWVAKCF")
"""Letters that are a unit where they are a word of their own; every other one is a variable."""
NOT_UNITS = frozenset(
    ("or", "and", "to", "than", "minus", "plus", "times", "over", "point", "is", "not", "no", "but", "if", "of", "as",
     "are", "was", "between", "until", "through", "either", "nor", "vs", "versus", "maybe", "perhaps", "wrong",
     "incorrect", "ten", "tens", "hundred", "hundreds", "thousand", "thousands", "million", "millions", "billion",
     "billions", "trillion", "trillions", "dozen", "dozens", "bn", "mn", "mln", "mio", "mil", "lakh", "lakhs", "crore",
     "crores", "grand", "half", "halves", "third", "thirds", "quarter", "quarters", "fourth", "fourths", "fifth",
     "fifths", "sixth", "sixths", "seventh", "sevenths", "eighth", "eighths", "ninth", "ninths", "tenth", "tenths",
     "twelfth", "twelfths", "hundredth", "hundredths", "thousandth", "thousandths", "mod", "modulo", "base", "pi",
     "factorial", "squared", "cubed", "divided", "choose", "sqrt", "root", "log", "ln", "sin", "cos", "tan", "exp",
     "twice")
)  # fmt: skip
"""Words that change or doubt the number before them; what holds one of them is not a number with a unit."""


def _table() -> dict[str, str]:
    """Every spelling of a known unit -> its one name."""
    units = {word: unit for unit, words in _SPELLINGS.items() for word in (unit, f"{unit}s", *words.split())}
    for symbol, (name, prefixes) in _PREFIXED.items():
        for prefix in ("", *prefixes):
            long = _PREFIXES.get(prefix, "") + name
            british = re.sub("er$", "re", long)
            units |= dict.fromkeys((long, f"{long}s", british, f"{british}s"), long)
            units[prefix + symbol] = long
    return units


_UNITS = _table()
_ONE_SPELLING = [
    (re.compile(r"\\frac ?\{ ?([^{}]+?) ?\} ?\{ ?([^{}]+?) ?\}"), r"\1/\2"),
    (re.compile(r"\bper ?cent\b"), "percent"),
    (re.compile(r"\b(?:US|U\.S\.) ?(?:dollars?|\$)"), "USD"),
    (re.compile(r"(?:°|\bdeg(?:ree)?s?) ?(?:(C)(?:elsius)?|(F)(?:ahrenheit)?)\b"), r"°\1\2"),
]
_FACTOR = re.compile(
    r"(?P<word>°[CF]|[%°$€£¥₹¢]|[A-Za-zµΩ]+(?:-[A-Za-z]+)*|[\u4e00-\u9fff]+)\.?"
    r"(?: ?\^ ?\{? ?(?P<power>-?[1-4]) ?\}?|(?P<digit>[23]))?"
)
_LINK = re.compile(r"(?P<per> ?/ ?| per )|(?: ?\\times ?| )")
_MAX_FACTORS = 6


def unit_of(text: str, *, glued: bool = False) -> str | None:
    r"""The unit that ``text`` names, in one spelling; None when it is not one.

    Args:
        text: what follows a number, without the blank between the two.
        glued: no blank is between them, so that only known units of two letters or more count.

    Example:
        >>> unit_of("km/h"), unit_of("kilometers per hour"), unit_of("square cm"), unit_of("red apples")
        ('kilometer/hour', 'kilometer/hour', 'centimeter^2', 'red apple')
        >>> unit_of("cm", glued=True), unit_of("x", glued=True), unit_of("m", glued=True), unit_of("m/s", glued=True)
        ('centimeter', None, None, 'meter/second')
        >>> unit_of("million"), unit_of("5 or so")
        (None, None)
    """
    text = text.strip()
    for pattern, replacement in _ONE_SPELLING:
        text = pattern.sub(replacement, text)
    factors: dict[str, int] = {}
    words: list[str] = []
    position, power = 0, 1
    while position < len(text) and len(words) < _MAX_FACTORS:
        link = _LINK.match(text, position) if words else None
        factor = _FACTOR.match(text, link.end() if link is not None else position)
        if factor is None or (words and link is None and words[-1] not in "$€£¥₹"):
            return None
        position = factor.end()
        word = factor["word"]
        words.append(word)
        if word.casefold() in _POWERS:
            power = _POWERS[word.casefold()]
            continue
        name = _name_of(word, known=glued or factor["digit"] is not None)
        if name is None:
            return None
        side = -1 if link is not None and link["per"] else 1
        factors[name] = side * power * int(factor["power"] or factor["digit"] or 1)
        power = 1
    single = len(words) == 1 and words[0].isalpha() and len(words[0]) == 1 and words[0].isascii()
    if position < len(text) or not factors or (glued and single):
        return None
    return _written(factors)


def _name_of(word: str, *, known: bool) -> str | None:
    """One name of a unit or noun; None for a word that is not one, or that is not in the table where it must be."""
    name = _UNITS.get(word)
    if name is None and len(word) > 1 and word != "MM":  # 5 MM are five million
        name = _UNITS.get(word.casefold())
    if name is not None:
        return name
    lower = word.casefold()
    if known or not word.isascii() or lower in NOT_UNITS or (len(word) == 1 and word not in SINGLE_LETTERS):
        return None
    if lower.endswith(("xes", "ches", "shes", "sses")):
        return lower[:-2]
    if lower.endswith("ies") and len(lower) > 4:
        return f"{lower[:-3]}y"
    return lower[:-1] if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss") else lower


def _written(factors: dict[str, int]) -> str:
    above, below = (
        [name if abs(power) == 1 else f"{name}^{abs(power)}" for name, power in factors.items() if power * side > 0]
        for side in (1, -1)
    )
    return "/".join([" ".join(above), *below])
