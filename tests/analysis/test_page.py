"""A page shows hostile text as text, opens offline and is the same every time."""

from __future__ import annotations

import html.parser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.analysis.page import Picture, Sample, Section, inert, render
from paced.figures import csv_text, new_figure, png_bytes, save_figure

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31mred\x1b[0m \u202eevil </dd><script>x()</script> {{ 7*7 }} & \"'"


class Tags(html.parser.HTMLParser):
    """Collects every tag and attribute that a browser would see."""

    def __init__(self):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)


def page(text):
    section = Section(
        title=text,
        prose=(text,),
        tables=((text, {text: [text]}),),
        samples=(Sample(heading=text, lines=((text, text),)),),
        details=((text, text),),
        missing=(text,),
        pictures=(Picture(title=text, png=b"\x89PNG", alternative=text),),
    )
    return render(text, text, [section])


def test_hostile_text_adds_no_tag_attribute_or_control_character():
    plain, hostile = Tags(), Tags()
    plain.feed(page("harmless"))
    hostile.feed(page(HOSTILE))
    assert hostile.tags == plain.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]
    assert "script" not in hostile.tags
    text = page(HOSTILE)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "49" not in text.split("<main>")[1]


@given(st.text(max_size=60))
def test_any_text_leaves_the_structure_of_the_page_alone(text):
    plain, other = Tags(), Tags()
    plain.feed(page("harmless"))
    other.feed(page(text))
    assert other.tags == plain.tags


@given(st.text(max_size=60))
def test_inert_text_has_no_character_that_acts(text):
    import unicodedata

    kept = {unicodedata.category(character) for character in inert(text) if character not in "\n\t"}
    assert not kept & {"Cc", "Cf", "Co", "Cs"}


def test_the_page_asks_nobody_for_anything():
    text = page("harmless")
    assert "default-src 'none'" in text
    parser = Tags()
    parser.feed(text)
    addresses = [value for name, value in parser.attributes if name in {"src", "href"}]
    assert addresses
    assert all(value.startswith("data:image/png;base64,") for value in addresses)


def test_the_same_input_gives_the_same_bytes():
    assert page("a") == page("a")
    drawings = []
    for _ in range(2):
        figure, axes = new_figure()
        axes.plot([0, 1], [0, 1])
        drawings.append(png_bytes(figure))
    assert drawings[0] == drawings[1]


def test_a_figure_lies_beside_its_table(tmp_path):
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1])
    path = save_figure(figure, {"x": [0, 1], "name": ["@a", "b"]}, tmp_path / "f.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "f.csv").read_text() == "x,name\n0,'@a\n1,b\n"
    with pytest.raises(ValueError, match="must end in .png"):
        save_figure(figure, {"x": [0]}, tmp_path / "f.svg")


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter|longer"):
        csv_text({"a": [1, 2], "b": [1]})
