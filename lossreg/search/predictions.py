"""`Predictor`: predictions of trained plans, with one model for all that share an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossreg.metrics import decision
from lossreg.search.arms import BASELINE, TUNED, WINNER
from lossreg.storage.records import Weights
from lossreg.training import scoring
from lossreg.training.interface import Architecture, Plan, Problem
from lossreg.training.solo import batches


class Predictor:
    """Predicts with the weights of one plan after the other, of problems that differ in their samples alone."""

    def __init__(self) -> None:
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
        decisions, all arms are tuned, and there are no others.
        """
        data, candidate, fold = problem.folds[plan.fold], plan.candidate, plan.fold
        raw_scores = self._raw_scores(problem, plan, weights, data.test.x)[None]
        default = scoring.of_metric(problem, candidate, raw_scores, fold)[0]
        what, is_tuned = scoring.tunable(problem, fold), problem.decision == "tuned"
        if not what or not (is_tuned or name in (WINNER, BASELINE)):
            return {name: default}
        fitted_on = self._raw_scores(problem, plan, weights, data.validation.x)[None]
        logs, test_logs = (scoring.logs_of_metric(problem, candidate, raw, fold) for raw in (fitted_on, raw_scores))
        fitted = decision.fit(what, problem.metric, data.validation.y.ravel(), logs)
        tuned = decision.decided(what, test_logs, fitted)[0]
        tuned = tuned if np.isfinite(test_logs).all() else np.full(tuned.shape, np.nan, np.float32)
        return {name: tuned} if is_tuned else {name: default, name + TUNED: tuned}

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
