"""Which models train in lanes: those that are a function of tensors, and so can be mapped over lanes of weights.

Keras's own layers are proven to. Models of others are rehearsed: their scores, states and gradients
over a few lanes are compared with those of one lane at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from lossreg.errors import one_line
from lossreg.models.keras_graph import sublayers
from lossreg.models.raw_scores import own_steps
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
# What a layer may be given besides its sizes, and may be the user's own.
GIVEN = ("activation", "regularizer", "constraint")
ROWS, LANES, TOLERANCE = 16, 3, 1e-4
Lane = tuple[list[np.ndarray], list[np.ndarray], Any, np.ndarray]


def model_refusal(model: keras.Model, x: Any = None) -> str:
    """Why a model's lanes cannot be mapped, in one line; empty when they can.

    x: training rows, `(n, *shape)`, or several such inputs by name, of which a few are looked at; None stands
    for normal ones.
    """
    if own := own_steps(type(model)):
        return f"the model has its own {own[0]}, which model.fit runs"
    if any(getattr(entry, "sparse", False) for entry in model.inputs):
        return "an input of the model is sparse"
    layers = sublayers(model)
    unfit = next(filter(None, map(_unfit, layers)), "")
    unproven = next((said for layer in layers for said in _unproven(layer)), "")
    if unfit or not unproven:
        return unfit
    failed = rehearse(model, x)
    return f"{unproven}: {failed}" if failed else ""


def _unfit(layer: keras.layers.Layer) -> str:
    """Why no model with this layer trains in lanes."""
    if layer.compute_dtype != "float32":
        return f"layer {layer.name} computes in {layer.compute_dtype}, and lanes in float32"
    if getattr(layer, "stateful", False):
        return f"layer {layer.name} keeps its state from batch to batch"
    return ""


def _unproven(layer: keras.layers.Layer) -> Iterator[str]:
    """What of a layer and, of a model, between its layers is not known to map over lanes."""
    kind = type(layer).__name__
    if not _of_keras(type(layer)) or kind not in LAYERS:
        yield f"layer {layer.name} ({kind}) is not proven to map over lanes"
    # TensorFlow's converter loses the groups in the gradient of a dilated convolution
    if getattr(layer, "groups", 1) > 1 and set(layer.dilation_rate) != {1}:
        yield f"layer {layer.name} has groups and dilation, which together are not proven to map over lanes"
    for name, value in vars(layer).items():
        if name.endswith(GIVEN) and value is not None and not _of_keras(value):
            own = getattr(value, "__name__", type(value).__name__)
            yield f"layer {layer.name} has {name} {own}, which is not one of Keras"
    for operation in getattr(layer, "operations", ()):
        own = type(operation).__name__
        proven = isinstance(operation, keras.layers.Layer) or (_of_keras(type(operation)) and own in OPERATIONS)
        if not proven:
            yield f"operation {operation.name} ({own}) is not proven to map over lanes"


def _of_keras(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("keras.")


# ------------------------------------------------------------------ rehearsal


def rehearse(model: keras.Model, x: Any = None) -> str:
    """Why the model over lanes is not what it is one lane at a time; empty when scores, states and gradients agree."""
    lanes = [_lane(model, number, x) for number in range(LANES)]
    try:
        # on the processor: others compute products of matrices in fewer digits
        with keras.device("cpu:0"):
            run, stacked = _mapped(model, lanes)
            found, again = run(stacked), run(stacked)
            # the map over one lane without an axis of lanes is the function itself
            alone = [_trained(model, lambda function, own: function(own), _tensors(lane)) for lane in lanes]
            foreign = _changed(model, lanes[0])
    except Exception as error:
        return f"over lanes it fails with {one_line(error).split('. ')[0]}"
    wanted = [np.stack(values) for values in zip(*map(_numbers, alone), strict=True)]
    same = (np.array_equal(*pair, equal_nan=True) for pair in zip(_numbers(found), _numbers(again), strict=True))
    if foreign == "trained":
        return "it sets weights that are trained, beside the optimizer"
    if foreign or not all(same):
        return "it gives something else each time, and its state or seed is not among the model's variables"
    return "" if _agree(_numbers(found), wanted) else "over lanes it gives something else than one lane at a time"


def _lane(model: keras.Model, number: int, x: Any) -> Lane:
    """Weights, other variables, rows and slopes of the scores; a lane's own, but alike enough for any model."""
    rng = np.random.default_rng(number)
    trainable = [v + 0.05 * number * rng.normal(size=v.shape) for v in map(_values, model.trainable_variables)]
    other = [_moved(v.path, _values(v), number) for v in model.non_trainable_variables]
    slope = rng.normal(size=(ROWS, *model.outputs[0].shape[1:]))
    weights = [np.asarray(w, np.float32) for w in trainable]
    return weights, other, _rows(model, x, rng), np.asarray(slope, np.float32)


def _moved(path: str, value: np.ndarray, number: int) -> np.ndarray:
    """A variable that is not trained, by lane: seeds count on, other numbers grow a little, whole ones are kept."""
    if path.endswith("seed_generator_state"):
        return value + np.asarray(number, value.dtype)
    return value * np.asarray(1 + 0.05 * number, value.dtype) if np.issubdtype(value.dtype, np.floating) else value


def _rows(model: keras.Model, x: Any, rng: np.random.Generator) -> Any:
    if x is None:
        shapes = [(ROWS, *(size or 4 for size in entry.shape[1:])) for entry in model.inputs]
        rows = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        return rows if len(rows) > 1 else rows[0]
    number = len(keras.tree.flatten(x)[0])
    return keras.tree.map_structure(lambda values: values[rng.integers(0, number, ROWS)], x)


def _mapped(model: keras.Model, lanes: Sequence[Lane]) -> tuple[Callable[[Any], Any], Any]:
    """The compiled training step of all lanes together, and what it is called with."""
    shapes = keras.tree.map_structure(lambda values: interface.Leaf(values.shape, str(values.dtype)), lanes[0])
    step = interface.compiled(lambda data, arrangement, own: _trained(model, interface.map_lanes, own), (), shapes)
    stacked = keras.tree.map_structure(lambda *values: interface.to_device(np.stack(values)), *lanes)
    return partial(step, interface.arrange([0] * len(lanes))), stacked


def _trained(model: keras.Model, mapped: Callable[[Any, Any], Any], lanes: Any) -> Any:
    """Scores, penalties, states and slopes of a step of training; then scores of validation, and constraints."""
    trainable, other, x, slope = lanes

    def scored(own: Any) -> Any:
        scores, after, penalties = model.stateless_call(*own, training=True, return_losses=True)
        return scores, after, sum(penalties, keras.ops.zeros(()))

    def forward(weights: Any) -> Any:
        scores, after, penalty = mapped(scored, (weights, other, x))
        return (scores, penalty), after

    def limited(weights: Any) -> Any:
        pairs = zip(model.trainable_variables, weights, strict=True)
        return [v.constraint(w) if v.constraint else w for v, w in pairs]

    outputs, after, back = interface.pull_back(forward, trainable)
    # the sum is a whole tensor, also of a gradient that TensorFlow keeps as slices
    slopes = [keras.ops.add(own, 0.0) for own in back((slope, keras.ops.ones_like(outputs[1])))]
    predicted = mapped(lambda own: model.stateless_call(*own, training=False)[0], (trainable, after, x))
    return outputs, after, slopes, predicted, mapped(limited, trainable)


def _changed(model: keras.Model, lane: Lane) -> str:
    """Which variables a step of training changes before the optimizer does, that no lane of the model's can hold.

    `"trained"` weights, or `"foreign"` ones, as Keras's common seed is; empty where there are none.
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


def _agree(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> bool:
    """Whether numbers agree to `TOLERANCE` of the largest of their array, or of a hundredth of the largest of all."""
    sizes = [np.nanmax(np.abs(w), initial=0) if np.issubdtype(w.dtype, np.floating) else 0 for w in wanted]
    limits = [TOLERANCE * max(size, 0.01 * max(sizes)) for size in sizes]
    both = zip(found, wanted, limits, strict=True)
    return all(np.allclose(one, other, rtol=0, atol=limit, equal_nan=True) for one, other, limit in both)
