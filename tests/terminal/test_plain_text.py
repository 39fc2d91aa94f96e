"""Text from outside, harmless on a terminal and in Markdown, and still legible."""

from __future__ import annotations

import html
import unicodedata

import pytest
from markdown_it import MarkdownIt

from lossreg.terminal.plain_text import code, markdown, printable, printable_line

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "a|b", "![x](http://e/x.png)", "[click](javascript:alert(1))", "<img src=x onerror=alert(1)>", "<!-- x", "`rm`",
    "``` x", "*b*", "_i_", "__init__", "~~gone~~", "# title", "- item", "+ item", "1. item", "12) item", "> quote",
    "---", "=====", "[x]: http://e", "&lt;b&gt;", "&#60;b>", "a\\|b", "\\`x\\`", "<http://e>", "- [ ] task",
]  # fmt: skip
LINKS = ["http://evil.example/a", "ftp://evil.example", "WWW.evil.example", "me@evil.example", "@somebody", ":smile:"]
HARMLESS = ["cross_entropy", "focal: not finite (3 trials)", "alpha=0.3, [1, 2]", "größe", "收入", "سعر", "a:b"]


def rendered(text):
    return RENDERER.render(text).strip().replace("&quot;", '"')


@pytest.mark.parametrize("text", [*HOSTILE, *LINKS, *HARMLESS])
def test_markdown_shows_the_text_letter_by_letter(text):
    assert rendered(markdown(text)) == f"<p>{html.escape(text, quote=False)}</p>"


@pytest.mark.parametrize("text", [*HOSTILE, *LINKS])
def test_a_cell_of_a_table_stays_one_cell(text):
    table = rendered(f"| a | b |\n| :-- | :-- |\n| {markdown(text)} | last |")
    assert f">{html.escape(text, quote=False)}</td>" in table
    assert table.count("<td") == 2


@pytest.mark.parametrize("text", LINKS)
def test_no_bare_link_is_left_for_a_renderer_that_makes_links_of_text(text):
    assert not any(mark in markdown(text).lower() for mark in ("://", "www.", "@", ":smile:"))


@pytest.mark.parametrize("text", ["plain", "a`b", "``", "`", "a ``b` c", " x "])
def test_code_holds_any_backticks(text):
    assert rendered(f"x {code(text)} y").startswith("<p>x <code>")
    assert text.strip() in rendered(f"x {code(text)} y")


@pytest.mark.parametrize("text", HARMLESS)
def test_plain_text_is_left_alone(text):
    assert printable(text) == printable_line(text) == text


def test_lines_stay_lines_unless_one_is_wanted():
    assert printable("a\n\tb") == "a\n\tb"
    assert printable_line("a\n\tb") == "a b"
    assert markdown("a\n\n# b") == "a # b"


def test_what_controls_a_terminal_or_the_direction_of_writing_is_spelled_out():
    assert printable("\x1b[31mred\x07\x9b2J") == r"\x1b[31mred\x07\x9b2J"
    assert printable("good\u202egnp.exe") == r"good\u202egnp.exe"
    assert printable("half\ud83d") == r"half\ud83d"
    assert printable("a\rb\u2028c") == r"a\x0db\u2028c"


def test_no_character_of_unicode_gets_through_that_a_terminal_would_obey():
    """Controls, formats that change direction, separators, surrogates: by Unicode's own tables."""
    left = printable("".join(map(chr, range(0x110000))))
    assert left.encode()
    kinds = ("Cc", "Cs", "Zl", "Zp")
    directions = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    bad = [c for c in left if unicodedata.category(c) in kinds or unicodedata.bidirectional(c) in directions]
    assert sorted(set(bad)) == ["\t", "\n"]
