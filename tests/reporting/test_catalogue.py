"""The catalogue page says what the built-in losses are, and is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lossreg import Float, Limit, regression_loss, zoo
from lossreg.contract.declaration import declared_in
from lossreg.reporting import catalogue, tables

PAGE = Path(__file__).parents[2] / "docs" / "losses.md"
SPECS = {spec.name: spec for family in zoo.FAMILIES for spec in declared_in(family)}


def entry(name, text):
    """Return what the page says under the heading of a loss."""
    [section] = re.findall(rf"^### {name}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    return section


def test_the_committed_page_is_up_to_date():
    stale = PAGE.read_text(encoding="utf-8") != catalogue.page()
    assert not stale, f"docs/losses.md is not up to date with the losses; write it with: {catalogue.COMMAND}"


@pytest.mark.parametrize("name", SPECS)
def test_a_loss_is_described_whole(name):
    spec, message = SPECS[name], entry(name, catalogue.page())
    assert spec.formula in message
    assert all(f"`{alias}`" in message for alias in spec.aliases)
    assert all(f"| `{param.name}` | {tables.default(param)} |" in message for param in spec.params)
    assert all(need in message for need in spec.constants)
    assert all(task in message for task in spec.tasks)
    assert spec.reference.partition("arXiv:")[0] in message


def test_arxiv_numbers_are_links_and_formulas_are_left_alone():
    message = entry("focal", catalogue.page())
    assert "[arXiv:1708.02002](https://arxiv.org/abs/1708.02002)" in message
    assert "```text\n-alpha_t (1 - p_t)^gamma log p_t\n```" in message
    assert "gamma = 0 is cross_entropy" in message


def test_every_link_inside_the_page_has_its_heading():
    text = catalogue.page()
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted(SPECS)
    assert sorted(re.findall(r"\]\(#(\w+)\)", text)) == sorted(SPECS)


def test_tables_have_as_many_cells_as_headings():
    for block in re.findall(r"(?:^\|.*\n)+", catalogue.page(), re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(cells) == 1, block


def test_every_family_has_a_title_of_its_own():
    names = {family.__name__.rpartition(".")[2] for family in zoo.FAMILIES}
    assert names <= set(catalogue.TITLES)


LIMITS = {
    "m -> 1 is cross_entropy": Limit({"m": 1.0 - 1e-7}, "cross_entropy"),
    "q -> 0 is cross_entropy": Limit({"q": 1e-3}, "cross_entropy", rtol=5e-3),
    "a -> -inf is welsch with c = 1.4142": Limit({"a": -1e5}, "welsch", {"c": 2**0.5}),
    "gamma = 0 is cross_entropy": Limit({"gamma": 0.0}, "cross_entropy"),
    "delta -> inf is 0.5 x mean_squared_error": Limit({"delta": 1e6}, "mean_squared_error", factor=0.5),
    "kappa = 1 is binary_focal with gamma = 1, alpha = absent": Limit(
        {"kappa": 1.0}, "binary_focal", {"gamma": 1.0, "alpha": None}
    ),
    "always 4.6 x mae": Limit({}, "mae", factor=4.6),
}


@pytest.mark.parametrize("message", LIMITS)
def test_limits_in_words(message):
    assert tables.limit(LIMITS[message]) == message


def test_a_bar_or_a_star_in_a_text_breaks_nothing():
    family = type(catalogue)("odd")

    @regression_loss(summary="a | b * c * d < e", reference="x", params=(Float("q", 0.5, 0.5, 0.5),))
    def odd(y, z, *, q): ...

    odd.__module__, family.odd = family.__name__, odd
    text = catalogue.page([family])
    assert "| a \\| b \\* c \\* d \\< e |" in text
    assert "| `q` | 0.5 | not searched | (-inf, inf) |" in text
