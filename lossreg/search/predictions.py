"""Predictions of trained plans, and those of the test rows by arm.

`Predictor` makes them with one model for all plans that share an architecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lossreg.errors import InputError, LossregError
from lossreg.metrics import decision
from lossreg.search.arms import BASELINE, BEFORE, ODDS, OF, SAME_RATE, TUNED, WINNER
from lossreg.storage.trial_record import Outcome, Weights
from lossreg.training import scoring
from lossreg.training.interface import Architecture, Plan, Problem
from lossreg.training.solo import batches

if TYPE_CHECKING:
    from lossreg.search.retrainer import Group, Retrainer

Predictions = dict[str, np.ndarray]  # `(repeats, rows, ...)` by arm


class Predictor:
    """Predicts with the weights of one plan after the other, of problems that differ in their samples alone.

    further: the names of further metrics that winner and baseline are predicted for.
    """

    def __init__(self, further: Collection[str] = ()) -> None:
        self._further = further
        self._models: dict[tuple[int, Architecture], Any] = {}

    def predict(self, problem: Problem, plan: Plan, weights: Weights, x: Any = None) -> np.ndarray:
        """Return the predictions that the problem's metric takes, of the test samples of the plan's fold by default.

        weights: in the order of `model.weights`; x: other samples, preprocessed for that fold.
        """
        x = problem.folds[plan.fold].test.x if x is None else x
        raw_scores = self._raw_scores(problem, plan, weights, x)
        predicted: np.ndarray = scoring.of_metric(problem, plan.candidate, raw_scores[None], plan.fold)[0]
        return predicted

    def of_arm(self, name: str, problem: Problem, plan: Plan, weights: Weights) -> Mapping[str, np.ndarray]:
        """Return the predictions of the test samples of the plan's fold by arm: by this one, and with it tuned.

        A decision is fitted on the validation samples of the fold, unless they are too few. Where the study tunes
        decisions, all arms are tuned; a temperature alone is also left out, of winner and baseline.
        """
        data, candidate, fold = problem.folds[plan.fold], plan.candidate, plan.fold
        raw_scores = self._raw_scores(problem, plan, weights, data.test.x)[None]
        default = scoring.of_metric(problem, candidate, raw_scores, fold)[0]
        further = {
            f"{name}{OF}{metric.name}": scoring.of_metric(problem, candidate, raw_scores, fold, metric)[0]
            for metric in problem.also
            if metric.name in self._further and name in (WINNER, BASELINE)
        }
        if data.task == "binary" and problem.metric.response == "label" and name in (WINNER, BASELINE):
            further[name + ODDS] = np.diff(scoring.logs_of_metric(problem, candidate, raw_scores, fold)[0])[:, 0]
        what, is_tuned = scoring.tunable(problem, fold), problem.decision == "tuned"
        if not what or not (is_tuned or name in (WINNER, BASELINE)):
            return {name: default, **further}
        fitted_on = self._raw_scores(problem, plan, weights, data.validation.x)[None]
        logs, test_logs = (scoring.logs_of_metric(problem, candidate, raw, fold) for raw in (fitted_on, raw_scores))
        fitted = decision.fit(what, problem.metric, data.validation.scored.ravel(), logs)
        tuned = decision.decided(what, test_logs, fitted)[0]
        tuned = tuned if np.isfinite(test_logs).all() else np.full(tuned.shape, np.nan, np.float32)
        if not is_tuned:
            return {name: default, name + TUNED: tuned, **further}
        has_before = what == decision.TEMPERATURE and name in (WINNER, BASELINE)
        return {name: tuned, **({name + BEFORE: default} if has_before else {}), **further}

    def _raw_scores(self, problem: Problem, plan: Plan, weights: Weights, x: Any) -> np.ndarray:
        model = self._model(problem, plan)
        for variable, value in zip(model.weights, weights, strict=True):
            variable.assign(value)
        return np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in batches(x)])

    def _model(self, problem: Problem, plan: Plan) -> Any:
        key = (problem.outputs(plan.candidate), problem.architecture(plan))
        if key not in self._models:
            self._models[key] = problem.build(key[0], plan.seed, plan.architecture)
        return self._models[key]


def predicted_by_arm(
    retrainer: Retrainer, groups: Sequence[Group], rows: Sequence[np.ndarray], splits: range, task: str
) -> Predictions:
    """Return the predictions of all test rows by arm, a repeat per split; NaN where a training failed.

    groups: the plans of arms; rows: those that each group predicts, of masks their pixels. Where a baseline has the
    winner's rate, and that of another group has not, it stands for itself with that rate.
    """
    predicted = _predicted(retrainer, groups, splits, task)
    names = dict.fromkeys([*(name for group in groups for name in group.plans), *(name for name, _ in predicted)])
    first = next(iter(predicted.values()))
    form = {name: values.shape[1:] for (name, _), values in predicted.items()}
    count = len(splits), sum(map(len, rows))
    by_arm = {name: np.empty((*count, *form.get(name, first.shape[1:])), np.float32) for name in names}
    for name, ordered in by_arm.items():
        for group, of_group in zip(groups, rows, strict=True):
            arm = BASELINE if name == SAME_RATE and name not in group.plans else name
            for repeat, split in enumerate(splits):
                ordered[repeat, of_group] = predicted.get((arm, group.first + split), np.nan)
    return by_arm


def _predicted(
    retrainer: Retrainer, groups: Sequence[Group], splits: range, task: str
) -> dict[tuple[str, int], np.ndarray]:
    """Return predictions by arm and split, of the trainings that came to their end.

    Raises `LossregError` where most trainings of winner or baseline failed with an error, so that they are tried again
    later.
    """
    predictor, predicted = Predictor({one.metric for one in retrainer.prepared.constraints}), {}
    failed: Counter[str] = Counter()
    for one in retrainer.train_groups(groups, splits, task, wants_weights=True):
        if one.training.weights is not None:
            of_arms = predictor.of_arm(one.asked.name, retrainer.problem, one.plan, one.training.weights)
            predicted.update({(arm, one.asked.split): values for arm, values in of_arms.items()})
        elif one.training.outcome == Outcome.FAILED and one.asked.name in (WINNER, BASELINE):
            failed[one.asked.name] += 1
            if 2 * failed[one.asked.name] > len(splits) * len(groups):
                raise LossregError(f"most trainings of {one.plan.candidate} failed: {one.training.reason}")
    if not predicted:
        raise InputError("no training of winner or baseline came to its end")
    return predicted


def joined(known: Predictions, new: Predictions) -> Predictions:
    """Return known predictions followed by new ones by arm, NaN where either has none of an arm."""
    parts, both = [part for part in (known, new) if part], {**known, **new}

    def of(part: Predictions, name: str) -> np.ndarray:
        count = len(next(iter(part.values())))
        missing = np.full_like(both[name], np.nan, shape=(count, *both[name].shape[1:]))
        return part.get(name, missing)

    return {name: np.concatenate([of(part, name) for part in parts]) for name in both}
