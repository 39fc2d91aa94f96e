"""Which searched parameters made good scores: PED-ANOVA over the trials of a study, or of one of its losses.

Source: Watanabe, Bansal and Hutter 2023, PED-ANOVA; for parameters that only some losses have, its conditional form.
Both are Optuna's.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lossreg.reporting.plot_data import completed, spans_decades
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LOSS = "loss"
FEWEST = 10  # trials
TOP, FEWEST_TOP = 0.1, 5  # share of the trials that count as good, and their number at least

Scored = Sequence[tuple[TrialRecord, float]]


def of_study(result: StudyResult) -> dict[str, float]:
    """Return the importance of each parameter and of the choice of loss, which add up to 1, the largest first.

    It is empty of fewer than `FEWEST` trials, and where nothing was searched.
    """
    scored = [pair for candidate in result.losses for pair in completed(result, candidate)]
    return _importances(result.direction, scored, {trial.number: trial.candidate for trial, _ in scored})


def within(result: StudyResult, candidate: str) -> dict[str, float]:
    """Return the same of the parameters of one loss's trials."""
    return _importances(result.direction, completed(result, candidate), {})


def _importances(direction: str, scored: Scored, losses: Mapping[int, str]) -> dict[str, float]:
    """Return the importances; losses: the choices that count as a parameter, by number of trial."""
    params = {trial.number: _params(trial, losses) for trial, _ in scored}
    spaces = _distributions(list(params.values()))
    if len(scored) < FEWEST or len(spaces) < 2 or len({score for _, score in scored}) < 2:
        return {}
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with _quiet():
        study = optuna.create_study(direction=direction)
    for trial, score in scored:
        known = {name: value for name, value in params[trial.number].items() if name in spaces}
        distributions = {name: spaces[name] for name in known}
        study.add_trial(optuna.create_trial(params=known, distributions=distributions, value=score))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(TOP, FEWEST_TOP / len(scored)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importances = get_param_importances(study, evaluator=evaluator)
    return dict(sorted(importances.items(), key=lambda item: (-item[1], item[0])))


@contextmanager
def _quiet() -> Iterator[None]:
    """Have Optuna tell of no study that is created in the block."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _params(trial: TrialRecord, losses: Mapping[int, str]) -> dict[str, Any]:
    """Return the parameters of a trial as Optuna takes them."""
    values = {name: value for name, value in trial.params.items() if name != LOSS and value is not None}
    values = {
        name: value if isinstance(value, (int, float, str)) else json.dumps(value) for name, value in values.items()
    }
    return {LOSS: losses[trial.number], **values} if losses else values


def _distributions(params: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """Return the range in which each parameter was tried; none of one that has a single value."""
    seen: dict[str, list[Any]] = {}
    for values in params:
        for name, value in values.items():
            seen.setdefault(name, []).append(value)
    return {name: _distribution(values) for name, values in seen.items() if len(set(values)) > 1}


def _distribution(values: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if any(isinstance(value, (bool, str)) for value in values):
        return CategoricalDistribution(sorted(set(values), key=str))
    return FloatDistribution(min(values), max(values), log=spans_decades(values))
