"""The Keras model that predicts: raw scores turned into probabilities or values, loadable without lossreg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lossreg.contract import activations
from lossreg.contract.targets import TARGETS, Constants

if TYPE_CHECKING:
    from lossreg.contract.spec import LossSpec


def predictor(
    model: Any,
    spec: LossSpec,
    constants: Constants,
    n_classes: int,
    decision: Mapping[str, Any] | None = None,
    *,
    positive: str = "",
) -> Any:
    """Return an uncompiled Keras model from preprocessed data to predictions that shares the layers of `model`.

    Its last layer is named by what it predicts. Classification: `probability`, `(batch, 1)` of class 1 for a binary
    task, `(batch, k)` of each label or class otherwise, `(batch, *spatial_shape, 1)` of each pixel of a mask. If the
    loss yields no probabilities: `score`, the raw scores; the class is that of the largest (with one raw score, or
    with several labels, its sign). Regression: `prediction`, `(batch, 1)` in the user's units.
    It is made of Keras's own layers and operations and loads without lossreg.

    decision: as in `TrialRecord.decision`, put into a layer before the activation. With a threshold or a shift the
    class is still that above 0.5, or the most probable one, and probabilities are moved by as much.
    positive: the slug of class 1 of a binary task, which the model is then named after, such as `probability_of_yes`.
    """
    import keras

    raw_scores, tuned = model.outputs[0], decision or {}
    if not n_classes:
        prediction = _value(raw_scores, spec, constants)
    elif spec.probabilistic:
        prediction = _probability(raw_scores, spec, constants, n_classes, tuned)
    else:
        prediction = keras.layers.Activation("linear", name="score")(_moved(raw_scores, tuned))
    what = "probability" if spec.probabilistic else "score"
    return keras.Model(model.input, prediction, name=f"{what}_of_{positive}" if positive else None)


def _moved(raw_scores: Any, decision: Mapping[str, Any]) -> Any:
    """Return raw scores whose sign, or whose largest, is the class that is decided for."""
    from keras import layers

    if not decision:
        return raw_scores
    offset = decision.get("shift", 0.0)
    if "threshold" in decision:
        half = decision["threshold"] / 2
        offset = -2 * half if raw_scores.shape[-1] == 1 else [half, -half]
    return layers.Rescaling(1 / decision.get("temperature", 1.0), offset=offset, name="decision")(raw_scores)


def _probability(
    raw_scores: Any, spec: LossSpec, constants: Constants, n_classes: int, decision: Mapping[str, Any]
) -> Any:
    from keras import layers, ops

    activation = activations.get(spec.activation)
    apart = raw_scores.shape[-1] == 1 or spec.target == "multihot"
    if activations.is_usual(activation):
        if n_classes == 2 and not apart:
            raw_scores, apart = raw_scores[..., 1:] - raw_scores[..., :1], True
        return layers.Activation("sigmoid" if apart else "softmax", name="probability")(_moved(raw_scores, decision))
    # a multiclass loss sees a binary score z as [-z/2, z/2]
    z = (
        ops.concatenate([-raw_scores / 2, raw_scores / 2], axis=-1)
        if spec.serves_binary_as_two(n_classes)
        else raw_scores
    )
    probabilities = activation.forward(z, **constants.select(activation.needs))
    binary = n_classes == 2 and probabilities.shape[-1] == 2 and spec.target != "multihot"
    probabilities = probabilities[..., 1:] if binary else probabilities
    return layers.Activation("linear", name="probability")(_moved_probabilities(probabilities, decision))


def _moved_probabilities(probabilities: Any, decision: Mapping[str, Any]) -> Any:
    """Return probabilities, one of class 1 or those of all classes, after a decision on their logarithms."""
    from keras import layers

    if not decision:
        return probabilities
    usual = activations.ACTIVATIONS["sigmoid" if probabilities.shape[-1] == 1 else "softmax"]
    assert usual.inverse is not None
    return layers.Activation(usual.name)(_moved(usual.inverse(probabilities), decision))


def _value(raw_scores: Any, spec: LossSpec, constants: Constants) -> Any:
    from keras import layers

    activation = activations.get(spec.activation)
    value = activation.forward(raw_scores, **constants.select(activation.needs))
    if value.shape[-1] != 1:
        value = value[:, activation.point : activation.point + 1]
    if not TARGETS[spec.target].standardised:
        return layers.Activation("linear", name="prediction")(value)
    return layers.Rescaling(constants.target_scale, offset=constants.target_center, name="prediction")(value)
