"""The trainings that follow the search of a study, in numbers: for the time that is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossreg.search import confirming, nested
from lossreg.search.nested import ARMS
from lossreg.storage.observer import Ahead
from lossreg.verdict import shortage

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared


def of(prepared: Prepared) -> Ahead:
    """Return what follows the search of a study, at most."""
    spec, dataset = prepared.spec, prepared.problem.dataset
    number, splits = len(prepared.candidates), spec.search.confirm
    after = Ahead(number * confirming.settings(number, prepared.trials) * splits, per_trial=_per_trial(prepared))
    if not (spec.verdict.enabled and spec.has_verdict) or shortage.foreseen(
        dataset, prepared.metric, spec.verdict.outer
    ):
        return after
    verdict = of_verdict(prepared, spec.verdict.outer or 0, spec.verdict.repeats_with(spec.verdict.outer or 0))
    after = verdict._replace(confirm=after.confirm)
    rows = dataset.rows
    is_open = spec.verdict.outer is None and not rows.layout.is_fixed and nested.is_usual(len(rows.labels.y), 0.0)
    folds = of_verdict(prepared, shortage.USUAL, spec.verdict.repeats_with(shortage.USUAL)).verdict
    return after._replace(in_folds=folds, most=60 * nested.LONG) if is_open else after


def of_verdict(prepared: Prepared, outer: int, repeats: int, *, is_searched: bool = False) -> Ahead:
    """Return a verdict with so many outer folds, 0 for the test rows: of folds searches, choices and repeats.

    is_searched: whether the settings of each fold are known, so that only the repeats are left.
    """
    if is_searched or not outer:
        return Ahead(verdict=(max(1, outer) * ARMS * repeats,), per_trial=_per_trial(prepared))
    search = outer * prepared.trials * prepared.spec.search.seeds
    choices = nested.trainings_before(prepared, outer, prepared.trials) - search
    return Ahead(verdict=(search, choices, outer * ARMS * repeats), per_trial=_per_trial(prepared))


def _per_trial(prepared: Prepared) -> int:
    return len(prepared.problem.folds) * prepared.spec.search.seeds
