"""The catalogue of built-in losses in Markdown: `python -m lossreg.reporting.catalogue > docs/losses.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

from lossreg import zoo
from lossreg.contract import activations
from lossreg.contract.declaration import declared_in
from lossreg.contract.spec import LossSpec
from lossreg.reporting import tables

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
COMMAND = "python -m lossreg.reporting.catalogue > docs/losses.md"
TITLES = {
    "multiclass": "Classes: cross-entropy and similar losses",
    "focal": "Classes: hard samples first",
    "imbalance": "Classes: imbalance",
    "noisy_labels": "Classes: wrong labels",
    "tempered": "Classes: tempered",
    "margins": "Classes: margins and squares",
    "evolved": "Classes: found by search",
    "binary": "Two classes, one logit",
    "multilabel": "Several labels at once",
    "regression": "Regression",
    "robust_regression": "Regression with outliers",
    "quantiles": "Quantiles and expectiles",
    "counts": "Counts and positive targets",
    "likelihoods": "Regression with its uncertainty",
}
SYMBOLS = {
    "z": "raw scores, the linear output of the model",
    "p": "softmax or sigmoid of z; p_t is that of the true class t, z_t its raw score",
    "s": "(2y - 1) z, the margin of a binary label y",
    "e": "prediction - y, in units of the target's robust scale (1.4826 MAD) unless said otherwise",
    "k": "the number of classes; n_k the training samples of a class, pi their shares",
}
INTRODUCTION = f"""# The losses

All built-in losses; plugins add more (`lossreg losses` lists all that are installed). This page
is generated: `{COMMAND}`. `lossreg show NAME` shows one loss,
`lossreg show NAME --plot loss.png` draws it, `lossreg check NAME` tests it.

All are computed on raw scores. Losses of classes serve two classes too: a single raw score z counts as the two raw
scores -z/2 and z/2. A study searches a parameter's search range unless it sets another; the domain is where the
formula holds. A loss that "needs" a constant gets it from the training samples in a study; elsewhere
give it: `lossreg.get("weighted_ce", class_counts=[900, 100])`.
"""


def page(families: Sequence[ModuleType] = zoo.FAMILIES) -> str:
    """Return the page; families are modules of declared losses."""
    families = sorted(families, key=_rank)
    notation = "\n".join(f"- `{name}`: {meaning}." for name, meaning in SYMBOLS.items())
    parts = [INTRODUCTION, f"In formulas:\n\n{notation}\n", _contents(families)]
    for family in families:
        parts += [f"## {title(family)}\n", f"{about(family)}\n", *map(_loss, declared_in(family))]
    return "\n".join(parts)


def body(spec: LossSpec) -> str:
    """Return what is said of one loss: summary, formula, parameters and facts."""
    formula = [f"```text\n{spec.formula}\n```\n"] if spec.formula else []
    return "\n".join([f"{_plain(spec.summary)}\n", *formula, *_parameters(spec), _facts(spec)])


def title(family: ModuleType) -> str:
    """Return the heading of a family of losses."""
    return TITLES.get(_name(family), _name(family).capitalize())


def about(family: ModuleType) -> str:
    """Return the first paragraph of a family's docstring."""
    return _plain(" ".join((family.__doc__ or "").partition("\n\n")[0].split()))


def _name(family: ModuleType) -> str:
    return family.__name__.rpartition(".")[2]


def _rank(family: ModuleType) -> int:
    """Return the place of a family in `TITLES`; those without a title come last."""
    return [*TITLES, _name(family)].index(_name(family))


def _contents(families: Iterable[ModuleType]) -> str:
    lines = ["| loss | tasks | what for |", "| --- | --- | --- |"]
    for family in families:
        lines += [f"| **{title(family)}** | | |"]
        lines += [
            f"| [{spec.name}](#{spec.name}) | {', '.join(spec.tasks)} | {_cell(_plain(spec.summary))} |"
            for spec in declared_in(family)
        ]
    return "\n".join(lines) + "\n"


def _loss(spec: LossSpec) -> str:
    return f"### {spec.name}\n\n{body(spec)}"


def _parameters(spec: LossSpec) -> list[str]:
    if not spec.params:
        return []
    rows = [(f"`{p.name}`", tables.default(p), tables.search_range(p), tables.domain(p)) for p in spec.params]
    head = ["| parameter | default | search range | domain |", "| --- | --- | --- | --- |"]
    return [*head, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""]


def _facts(spec: LossSpec) -> str:
    facts = {
        "Also": ", ".join(f"`{alias}`" for alias in spec.aliases),
        "Tasks": ", ".join(spec.tasks),
        "In the default search of": ", ".join(spec.recommended),
        "Labels": tables.target(spec),
        "Activation": activations.get(spec.activation).name,
        "Outputs": "" if spec.outputs in ("1", "k") else spec.outputs,
        "Needs": ", ".join(f"`{need}`" for need in spec.constants),
        "Estimates": _plain(spec.claims.elicits),
        "Equals": "; ".join(map(tables.limit, spec.claims.limits)),
        "On hard labels, at its defaults, the same as": spec.same_as,
        "Reference": ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", _plain(spec.reference)),
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value) + "\n"


def _plain(text: str) -> str:
    """Return text in which Markdown sees no markup."""
    return re.sub(r"([*<])", r"\\\1", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
