"""Collect the pages of the documentation site, for MkDocs: `python docs/make.py build/docs`.

Pages of docs/ are copied. Files outside docs/ that they link to go to `repository/`, and links follow them. Added are
a page with a picture for each built-in loss (`gallery/`), the reference of the Python interface, `llms.txt`, and the
style.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lossreg import zoo
from lossreg.contract.declaration import declared_in
from lossreg.contract.spec import LossSpec
from lossreg.reporting import catalogue, loss_plots

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# pages whose tables need the width of the contents at the right
WIDE = {"benchmark.md", "claims.md"}
WITHOUT_CONTENTS = "---\nhide: [toc]\n---\n"
FENCE = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:`[^`]*`|[^\]\[`])*)\]\(([^)\s#]+)(#[^)]*)?\)")
FAMILIES = {family.__name__.rpartition(".")[2]: family for family in zoo.FAMILIES}
REFERENCE = {
    "Losses": ["get", "wrap", "losses", "load_model", "dense_gradients"],
    "Studies": ["init", "tune", "results", "repair", "safe_mode"],
    "Models and predictions": ["load_predictor", "load_trial", "load_preprocessor", "save_preprocessor"],
    "A loss of your own": [
        "softmax_loss", "sigmoid_loss", "margin_loss", "multilabel_loss", "regression_loss", "loss", "LossSpec",
        "Float", "Int", "Choice", "PerClass", "Claims", "Limit", "hookimpl", "ops", "testing.conformance",
    ],
    "Other libraries": [
        "sklearn.LossSearchClassifier", "sklearn.LossSearchRegressor", "keras_tuner.LossTuner", "keras_tuner.loss",
        "optuna.suggest_loss",
    ],
    "Errors": ["LossregError", "InputError"],
}  # fmt: skip

Checks = Mapping[str, list[dict[str, Any]]]


def main() -> None:
    """Write the pages into the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("into", type=Path)
    parser.add_argument("--checks", type=Path, help="what `lossreg check --json` has printed")
    given = parser.parse_args()
    checks = {one["loss"]: one["checks"] for one in json.loads(given.checks.read_text())} if given.checks else {}
    make(given.into, checks)


def make(into: Path, checks: Checks, only: Iterable[str] = ()) -> None:
    """Write the pages into a folder, which is emptied first; `only`: the losses that get a page, all without it."""
    shutil.rmtree(into, ignore_errors=True)
    collect(into)
    gallery(into / "gallery", checks, set(only))
    (into / "reference.md").write_text(reference())
    (into / "llms.txt").write_text(llms(into))
    shutil.copyfile(DOCS / "site.css", into / "site.css")


# ------------------------------------------------------------------------------- pages of docs/


def collect(into: Path) -> None:
    """Copy the pages of docs/, and whatever they link to."""
    waiting = sorted(DOCS.rglob("*.md"))
    done: set[Path] = set()
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done.add(source)
        target = into / place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            text, linked = moved(source)
            target.write_text(WITHOUT_CONTENTS * (source.name in WIDE) + text)
            waiting += linked
        else:
            shutil.copyfile(source, target)


def place(source: Path) -> Path:
    """Return where a file of the repository is in the site."""
    return source.relative_to(DOCS) if source.is_relative_to(DOCS) else "repository" / source.relative_to(ROOT)


def moved(source: Path) -> tuple[str, list[Path]]:
    """Return a page with its links as they are in the site, and the files that these name."""
    linked: list[Path] = []

    def link(found: re.Match[str]) -> str:
        mark, text, address, anchor = found.groups()
        if ":" in address:
            return found[0]
        path = (source.parent / address).resolve()
        path = path / "README.md" if path.is_dir() else path
        if not path.exists():  # a folder without a page of its own
            return text
        linked.append(path)
        return f"{mark}[{text}]({os.path.relpath(place(path), place(source).parent)}{anchor or ''})"

    parts = FENCE.split(source.read_text())
    parts[::2] = [LINK.sub(link, part) for part in parts[::2]]
    return "".join(parts), linked


# ------------------------------------------------------------------------------------ the gallery


def gallery(into: Path, checks: Checks, only: set[str]) -> None:
    """Write a page and a picture of each loss, and the page that shows them all."""
    into.mkdir(parents=True)
    parts = ["# Gallery of losses\n", "Each page has formula, picture, parameters, use and source of one loss.\n"]
    for name, family in sorted(FAMILIES.items(), key=lambda one: list(catalogue.TITLES).index(one[0])):
        specs = [spec for spec in declared_in(family) if not only or spec.name in only]
        for spec in specs:
            loss_plots.save(loss_plots.figure(spec), into / f"{spec.name}.svg")
            (into / f"{spec.name}.md").write_text(loss_page(spec, catalogue.about(family), checks.get(spec.name, [])))
        if specs:
            loss_plots.save(loss_plots.sheet(specs), into / f"family-{name}.svg")
            parts += section(name, catalogue.title(family), specs)
    (into / "index.md").write_text("\n".join(parts))


def section(name: str, title: str, specs: Iterable[LossSpec]) -> list[str]:
    """Return what the page of the gallery shows of a family."""
    lines = [f"- [{spec.name}]({spec.name}.md): {spec.summary}" for spec in specs]
    picture = f"![{title}: each loss for several values of a parameter](family-{name}.svg)"
    return [f"## {title}\n", f"{picture}\n", *lines, ""]


def loss_page(spec: LossSpec, family: str, checks: list[dict[str, Any]]) -> str:
    """Return the page of one loss."""
    study = f"```toml\n[losses.{spec.name}]\n```\n"
    parts = [f"# {spec.name}\n", "[Gallery of losses](index.md)\n", catalogue.body(spec)]
    parts += ["Symbols are those of [all losses](../losses.md).\n"]
    parts += [f"![{spec.name}: loss and gradient]({spec.name}.svg)\n"]
    parts += ["## When to use it\n", *advice(spec.name), f"Its family: {family}\n"]
    parts += ["## How to use it\n", f'In Keras: `lossreg.get("{spec.name}")`. In a [study](../studies.md):\n', study]
    return "\n".join(parts + checked(checks))


def advice(name: str) -> list[str]:
    """Return what the table of situations and the page of claims say about a loss."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (DOCS / "which-loss.md").read_text(), re.MULTILINE)
    said = [f"- {when.strip()}: {plain(why)}." for when, names, why in rows if f"`{name}`" in names]
    claims = (DOCS / "claims.md").read_text()
    tried = ["- What papers say about it was [tried in small studies](../claims.md#the-table)."]
    return [*said, *tried * (f"`{name}`" in claims), ""]


def plain(text: str) -> str:
    """Return a cell without links to other pages."""
    return LINK.sub(lambda found: found[0] if ":" in found[3] else found[2], text).strip()


def checked(checks: list[dict[str, Any]]) -> list[str]:
    """Return the section about the checks of `lossreg check`."""
    if not checks:
        return []
    passed = sum(one["ok"] for one in checks)
    rows = [f"| {one['name']} | {'passed' if one['ok'] else 'FAILED'} | {cell(one['message'])} |" for one in checks]
    head = ["## Checks\n", f"`lossreg check` ran {len(checks)} checks, and {passed} passed.\n"]
    return [*head, "| check | | what was seen |", "| --- | --- | --- |", *rows, ""]


def cell(text: str) -> str:
    """Return text for a cell of a table, in which Markdown sees no markup."""
    return re.sub(r"([|*<_`\[])", r"\\\1", " ".join(text.split()))


# --------------------------------------------------------------------- reference and llms.txt


def reference() -> str:
    """Return the page from which mkdocstrings makes the reference."""
    parts = ["# Python reference\n", "Everything here is a promise; other modules may change in any release.\n"]
    for heading, names in REFERENCE.items():
        parts += [f"## {heading}\n", *(f"::: lossreg.{name}\n" for name in names)]
    return "\n".join(parts)


def llms(into: Path) -> str:
    """Return an index of the site's pages for language models, by the form of llmstxt.org."""
    pages = [*sorted(DOCS.rglob("*.md")), into / "gallery" / "index.md", into / "reference.md"]
    lines = [f"- [{heading(page)}]({address(page, into)})" for page in pages]
    about = "> Which loss should a Keras model be trained with, and with which parameters? An experiment answers."
    return "\n".join(["# lossreg\n", f"{about}\n", "## Pages\n", *lines, ""])


def address(page: Path, into: Path) -> str:
    """Return the address that MkDocs gives a page: its name is a folder."""
    name = page.relative_to(into) if page.is_relative_to(into) else place(page)
    return f"{(name.parent if name.name == 'index.md' else name.with_suffix('')).as_posix()}/"


def heading(page: Path) -> str:
    """Return the title of a page."""
    return re.search(r"^# (.+)$", page.read_text(), re.MULTILINE)[1]  # type: ignore[index]


if __name__ == "__main__":
    main()
