"""The page of `report`, made from plain data."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from importlib import resources

import pytest
from support.pages import HOSTILE, made_up

from dmcheck_cli.errors import NotConfigured
from dmcheck_cli.reporting import page

VOID = {"meta", "br", "hr", "input", "img", "link"}
CONTRAST = 4.5
"""What WCAG 2.2 asks of text (AA)."""


class Tags(HTMLParser):
    """The tags of a page, and whether they are nested as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.found.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag without content."""
        self.found.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        """A tag ends."""
        assert self.open.pop() == tag


@pytest.mark.parametrize("clients", [0, 3, 2000])
def test_the_page_is_whole_and_needs_nothing_else(clients: int) -> None:
    """Well nested, no id twice, no script, nothing to load; a table for each plot; it says what it leaves out."""
    text = page.page(made_up(clients))
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert len(set(tags.ids)) == len(tags.ids)
    assert not {"script", "link", "img", "iframe"} & set(tags.found)
    assert not re.findall(r"https?://|url\((?!#)|@import|(?:src|href)=\"(?!#)", text)
    assert tags.found.count("figure") <= tags.found.count("details")
    assert (f"{2000 - page.MAX_ROWS:,} more are left out" in text) == (clients == 2000)
    assert len(text) < 1_500_000
    questions = [text.index(f'id="{one}"') for one in ("well", "progress", "hours", "days", "clients", "disagreements")]
    assert questions == sorted(questions)


def test_stored_texts_are_shown_as_text() -> None:
    """A name with tags, quotes, control or bidirectional characters is escaped wherever it stands."""
    text = page.page(made_up(3, HOSTILE))
    assert "<script" not in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "&lt;script&gt;" in text
    tags = Tags()
    tags.feed(text)
    assert tags.open == []


def test_colours_can_be_told_from_the_paper() -> None:
    """Every colour in which something is written or drawn, in light, dark and print."""
    css = (resources.files(page) / "page.html.j2").read_text("utf-8")
    palettes = re.findall(r":root { (--paper.*?) }", css)
    assert len(palettes) == 3
    for palette in palettes:
        colours = dict(re.findall(r"--(\w+): (#\w{6});", palette))
        for name in colours.keys() - {"paper", "grid"}:
            assert contrast(colours[name], colours["paper"]) >= CONTRAST, name


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG defines it."""

    def light(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked of the database."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotConfigured, match=re.escape("pip install 'dmcheck[report]'")):
        page.needed()
