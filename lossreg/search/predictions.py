"""`Predictor`: predictions of trained plans, with one model for all that share an architecture."""

from __future__ import annotations

from typing import Any

import numpy as np

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
        model = self._model(problem, plan)
        for variable, value in zip(model.weights, weights, strict=True):
            variable.assign(value)
        raw_scores = np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in batches(x)])
        predicted: np.ndarray = scoring.of_metric(problem, plan.candidate, raw_scores[None], plan.fold)[0]
        return predicted

    def _model(self, problem: Problem, plan: Plan) -> Any:
        key = (problem.outputs(plan.candidate), problem.architecture(plan))
        if key not in self._models:
            self._models[key] = problem.build(key[0], plan.seed, plan.architecture)
        return self._models[key]
