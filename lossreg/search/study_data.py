"""The rows of a study, loaded as its file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lossreg import data
from lossreg.config.study import StudySpec
from lossreg.data.layout import Layout
from lossreg.data.parts import TEST, VALIDATION
from lossreg.errors import InputError
from lossreg.metrics import functions
from lossreg.runtime.user_code import is_function
from lossreg.search import resumption
from lossreg.search.mistakes import located

NOTHING: Mapping[str, Any] = {}
APART = "equal rows may be on both sides of a cut, as when this study began; a new study keeps them together"


def load_data(spec: StudySpec, stored: Mapping[str, Any] = NOTHING) -> tuple[data.Dataset, list[str]]:
    """Return the study's data set, split and preprocessed; raises `InputError` that names the key of the study.

    stored: what the study noted when it began: the class that was positive, for one that does not name it. Up to 0.2.0
    rows that stand twice were taken apart, and for a study that was begun so they still are.
    """
    positive = resumption.positive_class(stored)
    dataset, begun = _loaded(spec, positive), stored.get("data", {}).get("digest")
    layout = dataset.rows.layout
    if begun not in (None, dataset.digest) and layout.units is not None and not layout.grouped:
        former = _loaded(spec, positive, ties_twins=False)
        if former.digest == begun:
            return former, [*former.notes, APART]
    return dataset, dataset.notes


def unused_shares(spec: StudySpec, layout: Layout) -> list[str]:
    """Return notes on shares that the study names and that the source leaves nothing of, since it gives the rows.

    Raises `InputError` where a column that the study names gives them.
    """
    section, notes = spec.data, []
    shares = {key: getattr(section, key) for key in ("test", "validation") if key in section.model_fields_set}
    for key, share in shares.items():
        if isinstance(share, str) or not layout.has({"test": TEST, "validation": VALIDATION}[key]):
            continue
        giver = "the source" if section.split is None else f"the column {section.split!r}"
        if share == 0:
            what = f"0 leaves no test rows, and {giver} gives test rows"
            raise InputError(what, where=spec.place("data.test"), hint="Leave it out, or give no test rows.")
        if section.split is not None:
            what = f"{share:g} is a share of the rows, and {giver} gives {key} rows"
            raise InputError(what, where=spec.place(f"data.{key}"), hint=f"Leave out data.{key}, or data.split.")
        notes.append(f"data.{key} = {share:g} is not used: the source gives {key} rows.")
    return notes


def untested(spec: StudySpec) -> list[str]:
    """Return a note on a study that has no verdict, since it has no test rows."""
    if spec.has_verdict:
        return []
    return [f"data.test = 0: there are no test rows, and so there is no verdict. {spec.tested_by}"]


def _loaded(spec: StudySpec, positive: str | None, *, ties_twins: bool = True) -> data.Dataset:
    section, metric = spec.data, spec.search.metric
    beside = located(spec, "search.metric", functions.columns, metric, spec.base) if is_function(metric) else ()
    try:
        return data.load(
            section.source, target=section.target, task=section.task, test=section.test, validation=section.validation,
            folds=section.folds, group=section.group, time=section.time, split=section.split, weight=section.weight,
            exposure=section.exposure, class_weight=spec.train.class_weight, preprocess=section.preprocess,
            drop=section.drop, base=spec.base, seed=spec.search.seed, given=spec.given, ties_twins=ties_twins,
            options=replace(section.options, former=positive), images=section.images, beside=beside,
            noise=section.noise,
        )  # fmt: skip
    except InputError as error:
        data_keys = (
            "folds", "test", "validation", "preprocess", "columns", "positive", "encoding", "sheet", "exposure",
            "noise",
        )  # fmt: skip
        keys = {
            "class_weight": "train.class_weight",
            "metric": "search.metric",
            **{name: f"data.{name}" for name in data_keys},
        }
        raise error.at(spec.place(keys.get(error.where, "data"))) from error
