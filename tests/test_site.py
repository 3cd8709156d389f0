"""The documentation builds without a warning, needs no network, leads nowhere that is absent, and can be searched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc=["']([^"']+)|<link[^>]*\shref=["']([^"']+)|url\(["']?([^"')]+)"""
)
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
QUESTIONS = "reference/questions"
ANSWERS = {
    "how do I resume": QUESTIONS,
    "resume": "training",
    "out of memory": QUESTIONS,
    "OOM": QUESTIONS,
    "pass rate zero": QUESTIONS,
    "choose K": QUESTIONS,
    "add a weighting": QUESTIONS,
    "normalise": QUESTIONS,
    "normalize": QUESTIONS,
    "reverse KL": "reference/glossary",
    "KL direction": QUESTIONS,
    "exit code": "reference/errors",
    "load_config": "reference/api/run",
    "micro_batch_tokens": "recipe",
}
"""What a user types -> a page that must be among the first five results."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages."""
    pytest.importorskip("furo")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(ROOT / "docs"), str(folder)
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    elsewhere = {
        (page.name, address)
        for page in pages
        for found in LOADED.findall(page.read_text(encoding="utf-8"))
        for address in found
        if address.startswith(("http:", "https:", "//"))
    }
    assert not elsewhere


@pytest.mark.slow
def test_the_search_box_answers_what_users_ask(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    results = {query: search(index, query)[:5] for query in ANSWERS}
    assert not {query: results[query] for query, page in ANSWERS.items() if page not in results[query]}


def search(index: dict, query: str) -> list[str]:
    """Pages for a query, best first, by the rules of Sphinx's ``searchtools.js``: titles, index, names, then words."""
    from sphinx.search.en import SearchEnglish

    language, lower = SearchEnglish({}), query.lower()
    scores: Counter[int] = Counter()
    for title, places in index["alltitles"].items():
        if lower in title.lower() and len(lower) >= len(title) / 2:
            for page, _ in places:
                scores[page] = max(scores[page], round(15 * len(lower) / len(title)))
    for entry, places in index["indexentries"].items():
        if lower in entry and len(lower) >= len(entry) / 2:
            for page, _, is_main in places:
                if is_main:
                    scores[page] = max(scores[page], round(100 * len(lower) / len(entry)))
    for objects in index["objects"].values():
        for page, *_, name in objects:
            if name.lower() == lower:
                scores[page] = max(scores[page], 11)
    words = [language.stem(word) for word in re.findall(r"\w+", lower) if word not in language.stopwords]
    of_words: list[dict[int, int]] = []
    for word in words:
        of_words.append({})
        for places, score in ((index["terms"], 5), (index["titleterms"], 15)):
            pages = places.get(word, [])
            for page in [pages] if isinstance(pages, int) else pages:
                of_words[-1][page] = max(of_words[-1].get(page, 0), score)
    for page in set.intersection(*map(set, of_words)):
        scores[page] = max(scores[page], *(pages[page] for pages in of_words))
    return [index["docnames"][page] for page, _ in scores.most_common()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    inside = [link for link in links if link and not re.match(r"https?://|mailto:", link)]
    assert not [link for link in inside if not (page.parent / link).exists()]
    assert not [link for link in links if link.startswith("http://")]
