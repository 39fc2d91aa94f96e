"""From raw scores to what a metric looks at, task by task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from keras import ops
from scipy import special
from sklearn import metrics as sk

from lossreg.contract.activations import Activation
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import Constants
from lossreg.metrics import catalogue
from lossreg.registry import registry
from lossreg.training.scoring import predictions, refusal, score_lanes

RNG = np.random.default_rng(0)
LANES = 3


def spec(**facts: Any) -> LossSpec:
    usual = {"name": "some", "function": len, "tasks": ("multiclass",), "summary": "", "reference": "x"}
    return LossSpec(**{**usual, **facts})


def at_least(z: Any) -> Any:
    """Probabilities of k classes from the k - 1 of "above j", rising with the class here: hence the order."""
    above = ops.sort(ops.sigmoid(z), axis=-1)[..., ::-1]
    one, none = ops.ones_like(above[..., :1]), ops.zeros_like(above[..., :1])
    return ops.concatenate([one, above], -1) - ops.concatenate([above, none], -1)


ORDERED = spec(target="ordinal", outputs="k-1", activation=Activation("at_least", at_least, None), probabilistic=True)
FLIPPED = spec(activation=Activation("flipped", lambda z: ops.softmax(-z), None), probabilistic=True)
ONE = spec(
    outputs="1", target="binary", activation=Activation("half", lambda z: ops.sigmoid(z - 1), None), probabilistic=True
)
MULTIHOT = spec(tasks=("multilabel",), target="multihot", activation="sigmoid", probabilistic=True)
SHIFTED = spec(
    tasks=("multilabel",), target="multihot", activation=Activation("shifted", lambda z: ops.sigmoid(z - 1), None)
)
MASK = spec(tasks=("segmentation",), target="dense", outputs="1", activation="sigmoid", probabilistic=True)
PLAIN = Constants(n_classes=4)


def seen(loss: LossSpec, task: str, scores: np.ndarray, response: str) -> np.ndarray:
    return predictions(loss, task, PLAIN, scores.astype(np.float32), response)


def test_ordered_classes_are_the_most_probable_of_their_own_activation() -> None:
    scores = 3 * RNG.normal(size=(LANES, 50, 3))
    above = -np.sort(-special.expit(scores), axis=-1)
    ends = np.ones((LANES, 50, 1)), np.zeros((LANES, 50, 1))
    expected = np.concatenate([ends[0], above], -1) - np.concatenate([above, ends[1]], -1)
    np.testing.assert_allclose(seen(ORDERED, "multiclass", scores, "probability"), expected, atol=1e-6)
    np.testing.assert_array_equal(seen(ORDERED, "multiclass", scores, "label"), expected.argmax(-1))
    assert set(np.unique(expected.argmax(-1))) == {0, 1, 2, 3}


def test_one_score_of_two_ordered_classes_is_that_of_the_second() -> None:
    scores = RNG.normal(size=(LANES, 50, 1))
    np.testing.assert_array_equal(seen(ORDERED, "binary", scores, "label"), scores[..., 0] > 0)
    np.testing.assert_allclose(seen(ORDERED, "binary", scores, "score"), special.expit(scores[..., 0]), rtol=1e-6)


def test_an_activation_of_its_own_says_which_of_two_classes() -> None:
    scores = RNG.normal(size=(LANES, 50, 1))
    np.testing.assert_array_equal(seen(FLIPPED, "binary", scores, "label"), scores[..., 0] < 0)
    np.testing.assert_array_equal(seen(ONE, "binary", scores, "label"), scores[..., 0] > 1)
    pair = seen(ONE, "binary", scores, "probability")
    np.testing.assert_allclose(pair[..., 1], special.expit(scores[..., 0] - 1), rtol=1e-5)
    np.testing.assert_allclose(pair.sum(-1), 1)


@pytest.mark.parametrize(
    "name", ["cross_entropy", "binary_crossentropy", "hinge", "square_loss", "brier", "squentropy"]
)
def test_the_usual_activations_decide_by_the_sign(name: str) -> None:
    loss, scores = registry.default().get(name), 3 * RNG.normal(size=(LANES, 50, 1)).astype(np.float32)
    np.testing.assert_array_equal(seen(loss, "binary", scores, "label"), scores[..., 0] > 0)
    np.testing.assert_array_equal(seen(loss, "binary", scores, "score"), scores[..., 0])
    if loss.probabilistic:
        np.testing.assert_allclose(
            seen(loss, "binary", scores, "probability")[..., 1], special.expit(scores[..., 0]), rtol=1e-5
        )


def test_several_labels() -> None:
    scores = RNG.normal(size=(LANES, 50, 4)).astype(np.float32)
    np.testing.assert_array_equal(seen(MULTIHOT, "multilabel", scores, "label"), scores > 0)
    np.testing.assert_array_equal(seen(MULTIHOT, "multilabel", scores, "score"), scores)
    np.testing.assert_allclose(seen(MULTIHOT, "multilabel", scores, "probability"), special.expit(scores), rtol=1e-5)
    np.testing.assert_array_equal(seen(SHIFTED, "multilabel", scores, "label"), scores > 1)


def test_masks_keep_their_shape() -> None:
    scores = RNG.normal(size=(LANES, 7, 4, 5, 1)).astype(np.float32)
    np.testing.assert_array_equal(seen(MASK, "segmentation", scores, "label"), scores[..., 0] > 0)
    np.testing.assert_array_equal(seen(MASK, "segmentation", scores, "score"), scores[..., 0])
    pair = seen(MASK, "segmentation", scores, "probability")
    np.testing.assert_allclose(pair[..., 1], special.expit(scores[..., 0]), rtol=1e-5)
    assert pair.shape == (LANES, 7, 4, 5, 2)


def test_the_point_of_several_outputs_is_scored_in_the_users_units() -> None:
    scores = RNG.normal(size=(LANES, 9, 3)).astype(np.float32)
    constants = Constants(target_center=5.0, target_scale=2.0, target_mean=3.0)
    values = predictions(registry.default().get("multi_quantile"), "regression", constants, scores, "value")
    np.testing.assert_allclose(values, 5 + 2 * (scores[..., 0] + np.log1p(np.exp(scores[..., 1]))), rtol=1e-5)
    values = predictions(registry.default().get("gaussian_nll"), "positive", constants, scores[..., :2], "value")
    np.testing.assert_allclose(values, 5 + 2 * scores[..., 0], rtol=1e-5)
    values = predictions(registry.default().get("poisson"), "count", constants, scores[..., :1], "value")
    np.testing.assert_allclose(values, 3 * np.exp(scores[..., 0]), rtol=1e-5)


def problem(task: str, metric: str, loss: LossSpec) -> Any:
    data = SimpleNamespace(task=task, constants=PLAIN)
    return SimpleNamespace(folds=(data,), metric=catalogue.resolve(metric, task), losses={"a": loss, "b": loss})


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("jaccard", lambda y, z: sk.jaccard_score(y, z > 0)),
        ("f1", lambda y, z: sk.f1_score(y, z > 0)),
        ("roc_auc", sk.roc_auc_score),
        ("average_precision", sk.average_precision_score),
        ("log_loss", lambda y, z: sk.log_loss(y, special.expit(z.astype(float)))),
    ],
)
def test_masks_are_scored_over_all_places(metric: str, function: Any) -> None:
    y = (RNG.random((7, 4, 5)) < 0.3).astype(np.int8)
    scores = (y[..., None] - 0.5 + RNG.normal(size=(LANES, 7, 4, 5, 1))).astype(np.float32)
    scores[1, 2, 0, 0] = np.nan
    result = score_lanes(problem("segmentation", metric, MASK), ["a", "b", "a"], scores, y)
    expected = [function(y.ravel(), lane.ravel()) for lane in scores[[0, 2]]]
    np.testing.assert_allclose(result[[0, 2]], expected, rtol=1e-6)
    assert np.isnan(result[1])


def test_several_labels_are_scored_label_by_label() -> None:
    y = (RNG.random((40, 3)) < 0.4).astype(np.int64)
    scores = (y - 0.5 + RNG.normal(size=(LANES, 40, 3))).astype(np.float32)
    result = score_lanes(problem("multilabel", "f1_macro", MULTIHOT), ["a", "b", "a"], scores, y)
    np.testing.assert_allclose(result, [sk.f1_score(y, lane > 0, average="macro") for lane in scores])


def test_losses_without_probabilities_are_refused_by_name() -> None:
    for task, metric in (("segmentation", "log_loss"), ("multiclass", "roc_auc_ovr")):
        reason = refusal(catalogue.resolve(metric, task), spec(name="margins", activation="identity"))
        assert reason == f"margins yields no probabilities, and {metric} needs them"
    assert not refusal(catalogue.resolve("roc_auc", "multilabel"), registry.default().get("multilabel_ce"))


def test_two_scores_of_a_binary_task_are_their_difference():
    about = {"summary": "s", "reference": "r", "target": "binary", "activation": "softmax"}
    spec = LossSpec(name="two", function=len, tasks=("binary",), outputs="2", **about)
    scores = np.array([[2.0, 1.0], [0.0, 3.0]])
    constants = Constants(n_classes=2)
    assert predictions(spec, "binary", constants, scores, "label").tolist() == [0, 1]
    np.testing.assert_allclose(predictions(spec, "binary", constants, scores, "score"), [-1.0, 3.0])
    chances = predictions(spec, "binary", constants, scores, "probability")
    np.testing.assert_allclose(chances[:, 1], 1 / (1 + np.exp([1.0, -3.0])))
