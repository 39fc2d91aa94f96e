"""The pages of the repository and of the site: every link and anchor leads somewhere, without a network."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

import lossreg
from lossreg.registry import registry

ROOT = Path(__file__).parents[1]
PLACES = ("*.md", "docs/**/*.md", "studies/*/*.md", "plugins/*/*.md", "tests/*/*.md")
PAGES = sorted(page for place in PLACES for page in ROOT.glob(place))
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
MADE = {"gallery/index.md", "reference.md"}


def make():
    source = importlib.util.spec_from_file_location("make_docs", ROOT / "docs" / "make.py")
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the site's pages, with two losses in its gallery."""
    folder = tmp_path_factory.mktemp("site") / "docs"
    checks = {"huber": [{"name": "shape", "ok": True, "message": "one value | per sample"}]}
    make().make(folder, checks, only=["focal", "huber"])
    return folder


def inline(tokens):
    return [child for token in tokens if token.type == "inline" for child in token.children]


def links(page):
    """Return the addresses of links and pictures on a page, as CommonMark reads it."""
    found = inline(MarkdownIt("commonmark").enable("table").parse(page.read_text()))
    return [str(token.attrs["href" if token.type == "link_open" else "src"]) for token in found
            if token.type in ("link_open", "image")]  # fmt: skip


@cache
def anchors(page):
    """Return the anchors of a page: those given, and those that GitHub and MkDocs make of headings."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    texts = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text) for text in texts)
    slugs = {re.sub(r"[^\w\- ]", "", text.replace("`", "").lower()).replace(" ", "-") for text in plain}
    return slugs | set(re.findall(r'<a id="([^"]+)"></a>', page.read_text()))


def broken(page, root):
    """Return the links of a page that lead nowhere below a folder."""
    wrong = []
    for address in links(page):
        path, _, anchor = address.partition("#")
        if ":" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and target.is_relative_to(root.resolve())
        if not is_there or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(address)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page, ROOT) == []


def test_links_of_the_site_lead_somewhere_within_it(site):
    pages = sorted(site.rglob("*.md"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))
    assert {str(page.relative_to(site)): wrong for page in pages if (wrong := broken(page, site))} == {}


def test_a_broken_link_is_seen(tmp_path):
    (tmp_path / "other.md").write_text("# Some heading\n")
    page = tmp_path / "page.md"
    right = "[a](other.md#some-heading) `[b](code.md)` [c](https://example.org/none)"
    page.write_text(f"{right} [d](other.md#none) [e](missing.md) ![f](no.png) [g](#here)\n")
    assert broken(page, tmp_path) == ["other.md#none", "missing.md", "no.png", "#here"]


def nav(entries):
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from [value] if isinstance(value, str) else nav(value)


def test_every_page_is_in_the_navigation_once():
    docs = ROOT / "docs"
    pages = [str(page.relative_to(docs)) for page in docs.rglob("*.md")]
    assert sorted(nav(CONFIG["nav"])) == sorted([*pages, *MADE])


def test_the_gallery_has_formula_picture_use_and_checks(site):
    page = (site / "gallery" / "huber.md").read_text()
    spec = registry.default().get("huber")
    beside = "(huber.svg)", "(index.md)"
    for said in (
        spec.summary,
        spec.formula,
        *beside,
        "outliers in regression",
        "[losses.huber]",
        "1 checks, and 1 passed",
    ):
        assert said in page
    assert "value \\| per" in page
    for picture in ("huber", "family-robust_regression"):
        assert (site / "gallery" / f"{picture}.svg").read_text().rstrip().endswith("</svg>")
    assert "Checks" not in (site / "gallery" / "focal.md").read_text()


def test_pages_with_wide_tables_have_no_contents_beside_them(site):
    wide = {page.name for page in site.glob("*.md") if page.read_text().startswith("---\nhide: [toc]\n---\n# ")}
    assert wide == {"benchmark.md", "claims.md"}


def test_the_reference_has_all_that_is_public(site):
    page = (site / "reference.md").read_text()
    said = set(re.findall(r"^::: lossreg\.([\w.]+)$", page, re.MULTILINE))
    assert set(lossreg.__all__) - {"__version__"} <= said


def test_the_index_for_language_models_names_pages_that_are_there(site):
    named = re.findall(r"\]\(([^)]+)/\)", (site / "llms.txt").read_text())
    assert {"quickstart", "study/data", "gallery", "reference"} <= set(named)
    for name in named:  # MkDocs makes a folder of each page
        assert (site / f"{name}.md").exists() or (site / name / "index.md").exists()


def test_the_extra_has_what_the_configuration_names():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    assert {re.split(r"[\[<>=]", name)[0] for name in extra} == {"mkdocs", "mkdocs-material", "mkdocstrings"}
    assert CONFIG["theme"]["name"] == "material"
    assert CONFIG["theme"]["font"] is False  # else every page asks a server for it
