"""Models that train in lanes: functions of tensors, which can be mapped over lanes of weights.

The layers of Keras are proven to be. A model with others is rehearsed: its raw scores, states and gradients over a
few lanes are compared with those of one lane at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from lossreg.errors import one_line
from lossreg.models.keras_graph import sublayers
from lossreg.models.raw_scores import overridden_steps
from lossreg.training.backends import interface

# Layers whose lanes are proven equal to solo training (tests/training/test_mappable_models.py).
BY_RANK = (
    "Conv", "MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling", "AdaptiveMaxPooling",
    "AdaptiveAveragePooling", "UpSampling", "ZeroPadding", "Cropping", "SpatialDropout",
)  # fmt: skip
LAYERS = frozenset(
    (
        "InputLayer", "Sequential", "Functional", "Dense", "EinsumDense", "Embedding", "Identity", "Masking",
        "Flatten", "Reshape", "Permute", "RepeatVector", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax",
        "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Conv1DTranspose",
        "Conv2DTranspose", "Conv3DTranspose", "Resizing", "CenterCrop",
        "Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization",
        "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization",
        "Rescaling", "Normalization",
        "LSTM", "GRU", "SimpleRNN", "RNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells",
        "Bidirectional", "TimeDistributed", "ConvLSTM1D", "ConvLSTM1DCell", "ConvLSTM2D", "ConvLSTM2DCell",
        "MultiHeadAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention",
        "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot",
        *(f"{name}{rank}D" for name in BY_RANK for rank in (1, 2, 3)),
    )
)  # fmt: skip
# Operations between layers that are proven likewise: `x + y` in a functional model and its like.
OPERATIONS = frozenset(
    (
        "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Negative", "Square", "Sqrt", "Exp", "Log", "Tanh",
        "Sigmoid", "Relu", "Softplus", "Softmax", "Mean", "Sum", "Max", "Min", "Maximum", "Minimum", "Matmul", "Einsum",
        "Concatenate", "Reshape", "Transpose", "ExpandDims", "Squeeze", "GetItem", "Where",
    )
)  # fmt: skip
# Arguments of a layer that may be functions of the user.
GIVEN = ("activation", "regularizer", "constraint")
SAMPLES, LANES, TOLERANCE = 16, 3, 1e-4
Lane = tuple[list[np.ndarray], list[np.ndarray], Any, np.ndarray]


def model_refusal(model: keras.Model, x: Any = None) -> str:
    """Return why a model's lanes cannot be mapped, in one line; empty when they can.

    x: training samples, `(n, *shape)`, or several such inputs by name, of which a few are used; None for standard
    normal ones.
    """
    if steps := overridden_steps(type(model)):
        return f"the model has its own {steps[0]}, which model.fit runs"
    if any(getattr(entry, "sparse", False) for entry in model.inputs):
        return "an input of the model is sparse"
    layers = sublayers(model)
    unfit = next(filter(None, map(_unfit, layers)), "")
    unproven = next((reason for layer in layers for reason in _unproven(layer)), "")
    if unfit or not unproven:
        return unfit
    failed = rehearse(model, x)
    return f"{unproven}: {failed}" if failed else ""


def _unfit(layer: keras.layers.Layer) -> str:
    """Return why no model with this layer trains in lanes; empty when one may."""
    if layer.compute_dtype != "float32":
        return f"layer {layer.name} computes in {layer.compute_dtype}, and lanes in float32"
    if getattr(layer, "stateful", False):
        return f"layer {layer.name} keeps its state from batch to batch"
    return ""


def _unproven(layer: keras.layers.Layer) -> Iterator[str]:
    """Yield the parts of a layer, or of a model between its layers, that are not known to map over lanes."""
    kind = type(layer).__name__
    if not _of_keras(type(layer)) or kind not in LAYERS:
        yield f"layer {layer.name} ({kind}) is not proven to map over lanes"
    # TensorFlow's converter loses the groups in the gradient of a dilated convolution
    if getattr(layer, "groups", 1) > 1 and set(getattr(layer, "dilation_rate", (1,))) != {1}:
        yield f"layer {layer.name} has groups and dilation, which together are not proven to map over lanes"
    for name, value in vars(layer).items():
        if name.endswith(GIVEN) and value is not None and not _of_keras(value):
            function = getattr(value, "__name__", type(value).__name__)
            yield f"layer {layer.name} has {name} {function}, which is not one of Keras"
    for operation in getattr(layer, "operations", ()):
        kind = type(operation).__name__
        proven = isinstance(operation, keras.layers.Layer) or (_of_keras(type(operation)) and kind in OPERATIONS)
        if not proven:
            yield f"operation {operation.name} ({kind}) is not proven to map over lanes"


def _of_keras(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("keras.")


# ------------------------------------------------------------------ rehearsal


def rehearse(model: keras.Model, x: Any = None) -> str:
    """Return why the model over lanes differs from one lane at a time; empty when all its numbers agree."""
    lanes = [_lane(model, number, x) for number in range(LANES)]
    try:
        # on the processor: others compute products of matrices in fewer digits
        with keras.device("cpu:0"):
            run, stacked = _mapped(model, lanes)
            mapped, again = run(stacked), run(stacked)
            # the map over one lane without an axis of lanes is the function itself
            alone = [_trained(model, lambda function, lanes: function(lanes), _tensors(lane)) for lane in lanes]
            foreign = _changed(model, lanes[0])
    except Exception as error:
        return f"over lanes it fails with {one_line(error).split('. ')[0]}"
    wanted = [np.stack(values) for values in zip(*map(_numbers, alone), strict=True)]
    same = (np.array_equal(*pair, equal_nan=True) for pair in zip(_numbers(mapped), _numbers(again), strict=True))
    if foreign == "trained":
        return "it sets weights that are trained, beside the optimizer"
    if foreign or not all(same):
        return "it gives something else each time, and its state or seed is not among the model's variables"
    return "" if _agree(_numbers(mapped), wanted) else "over lanes it gives something else than one lane at a time"


def _lane(model: keras.Model, number: int, x: Any) -> Lane:
    """Return weights, other variables, samples and gradients by the raw scores; of each lane others, but similar."""
    rng = np.random.default_rng(number)
    trainable = [v + 0.05 * number * rng.normal(size=v.shape) for v in map(_values, model.trainable_variables)]
    other = [_moved(v.path, _values(v), number) for v in model.non_trainable_variables]
    gradient = rng.normal(size=(SAMPLES, *model.outputs[0].shape[1:]))
    weights = [np.asarray(w, np.float32) for w in trainable]
    return weights, other, _samples(model, x, rng), np.asarray(gradient, np.float32)


def _moved(path: str, value: np.ndarray, number: int) -> np.ndarray:
    """Return an untrained variable of a lane: seeds are counted up, floats grow a little, whole numbers stay."""
    if path.endswith("seed_generator_state"):
        return value + np.asarray(number, value.dtype)
    return value * np.asarray(1 + 0.05 * number, value.dtype) if np.issubdtype(value.dtype, np.floating) else value


def _samples(model: keras.Model, x: Any, rng: np.random.Generator) -> Any:
    if x is None:
        shapes = [(SAMPLES, *(size or 4 for size in entry.shape[1:])) for entry in model.inputs]
        samples = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        return samples if len(samples) > 1 else samples[0]
    number = len(keras.tree.flatten(x)[0])
    return keras.tree.map_structure(lambda values: values[rng.integers(0, number, SAMPLES)], x)


def _mapped(model: keras.Model, lanes: Sequence[Lane]) -> tuple[Callable[[Any], Any], Any]:
    """Return the compiled training step of all lanes together, and its argument."""
    shapes = keras.tree.map_structure(lambda values: interface.Leaf(values.shape, str(values.dtype)), lanes[0])
    step = interface.compiled(lambda data, arrangement, lanes: _trained(model, interface.map_lanes, lanes), (), shapes)
    stacked = keras.tree.map_structure(lambda *values: interface.to_device(np.stack(values)), *lanes)
    return partial(step, (), interface.arrange([0] * len(lanes))), stacked


def _trained(model: keras.Model, mapped: Callable[[Any, Any], Any], lanes: Any) -> Any:
    """Return raw scores, penalties, states and gradients of a training step; raw scores of validation; constraints."""
    trainable, other, x, gradient = lanes

    def predicted(lane: Any) -> Any:
        raw_scores, after, penalties = model.stateless_call(*lane, training=True, return_losses=True)
        return raw_scores, after, sum(penalties, keras.ops.zeros(()))

    def forward(weights: Any) -> Any:
        raw_scores, after, penalty = mapped(predicted, (weights, other, x))
        return (raw_scores, penalty), after

    def limited(weights: Any) -> Any:
        pairs = zip(model.trainable_variables, weights, strict=True)
        return [v.constraint(w) if v.constraint else w for v, w in pairs]

    outputs, after, back = interface.pull_back(forward, trainable)
    gradients = back((gradient, keras.ops.ones_like(outputs[1])))
    validated = mapped(lambda lane: model.stateless_call(*lane, training=False)[0], (trainable, after, x))
    return outputs, after, gradients, validated, mapped(limited, trainable)


def _changed(model: keras.Model, lane: Lane) -> str:
    """Return the kind of variables that a training step changes before the optimizer, and that no lane can hold.

    These are `"trained"` weights, or `"foreign"` ones such as Keras's global seed; empty where there are none.
    """
    trainable, other, x, _ = lane
    variables = model.trainable_variables + model.non_trainable_variables
    with keras.StatelessScope(state_mapping=zip(variables, trainable + other, strict=True)) as scope:
        model(_tensors(x), training=True)
    if not set(scope.state_mapping) <= set(map(id, variables)):
        return "foreign"
    after = [keras.ops.convert_to_numpy(scope.get_current_value(v)) for v in model.trainable_variables]
    return "" if all(map(np.array_equal, after, trainable)) else "trained"


def _values(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))


def _tensors(tree: Any) -> Any:
    return keras.tree.map_structure(interface.to_device, tree)


def _numbers(tree: Any) -> list[np.ndarray]:
    return [interface.to_host(tensor) for tensor in keras.tree.flatten(tree)]


def _agree(numbers: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> bool:
    """Return whether numbers agree to `TOLERANCE` of the largest in an array, or a hundredth of the largest of all."""
    sizes = [np.nanmax(np.abs(w), initial=0) if np.issubdtype(w.dtype, np.floating) else 0 for w in wanted]
    limits = [TOLERANCE * max(size, 0.01 * max(sizes)) for size in sizes]
    both = zip(numbers, wanted, limits, strict=True)
    return all(np.allclose(one, other, rtol=0, atol=limit, equal_nan=True) for one, other, limit in both)
