"""One epoch of many lanes as one program.

A lane is one training. Everything that belongs to a lane (weights, optimizer state, loss
parameters, batch order) is stacked along a leading lane axis of open length, so that the
number of lanes, and which lane trains with which loss, change nothing in the program.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lossreg.contract.spec import LossSpec
from lossreg.training.backends import interface
from lossreg.training.backends.interface import Leaf
from lossreg.training.interface import Plan
from lossreg.training.optimizers import LaneOptimizer

Tensor = Any
WEIGHTS = "sample_weight"
# Validation samples that all lanes predict together, and numbers of training raw scores kept per lane.
TOGETHER, KEPT = 1024, 2**20


class Start(NamedTuple):
    """A model's variables before training; among the others are the states of its random generators."""

    trainable: list[np.ndarray]
    other: list[np.ndarray]

    @classmethod
    def of(cls, model: keras.Model) -> Start:
        """Return the variables of a freshly built model."""
        parts = (model.trainable_variables, model.non_trainable_variables)
        return cls(*([ops.convert_to_numpy(variable) for variable in part] for part in parts))


class State(NamedTuple):
    """Trainable weights, other weights and optimizer variables, each stacked over lanes."""

    trainable: list[Tensor]
    other: list[Tensor]
    optimizer: list[Tensor]

    def take(self, lanes: Sequence[int]) -> State:
        """Return the lanes at these positions, in this order."""
        return interface.take(self, lanes)

    def join(self, more: State) -> State:
        """Return these lanes followed by `more`."""
        return interface.join(self, more)


class Batch(NamedTuple):
    """Samples of some lanes.

    raw_scores: `(lanes, b, *spatial_shape, outputs)`; columns: by target kind labels `(lanes, b, *spatial_shape, t)`,
    and `sample_weight` `(lanes, b)` where samples are weighted.
    """

    raw_scores: Tensor
    columns: dict[str, Tensor]


class LaneArguments(NamedTuple):
    """Other arguments of the losses: `(lanes,)` progress and `(lanes, width)` packed parameters and constants."""

    progress: Tensor
    arguments: Tensor


class Group:
    """Lanes that share a loss function: traced parameters differ, static ones do not.

    shapes: of one lane's value, by keyword argument.
    """

    def __init__(
        self, spec: LossSpec, n_classes: int, static: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.spec, self.n_classes, self.static = spec, n_classes, static
        self.shapes = dict(sorted(shapes.items()))
        self.branch = interface.branch(self.mapped)

    @property
    def width(self) -> int:
        """The number of numbers that a lane's arguments are packed into."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def pack(self, arguments: Mapping[str, np.ndarray], width: int) -> np.ndarray:
        """Return a lane's arguments as `(width,)` numbers, zeros at the end."""
        flat = [np.ravel(arguments[name]) for name in self.shapes]
        return np.concatenate([*flat, np.zeros(width - self.width)]).astype(np.float32)

    def values(self, y: Tensor, raw_scores: Tensor, arguments: Mapping[str, Tensor]) -> Tensor:
        """Return a lane's `(b,)` losses.

        y: `(b, *spatial_shape, t)`; raw_scores: `(b, *spatial_shape, outputs)`.
        """
        return self.spec.values(y, raw_scores, self.n_classes, {**self.static, **arguments})

    def loss(self, raw_scores: Tensor, columns: Mapping[str, Tensor], arguments: Mapping[str, Tensor]) -> Tensor:
        """Return a lane's mean loss; weights multiply the losses, or are given to a loss that needs them."""
        y, needs_weights = columns[self.spec.target], WEIGHTS in self.spec.needs
        values = self.values(y, raw_scores, {**arguments, WEIGHTS: columns[WEIGHTS]} if needs_weights else arguments)
        return ops.mean(columns[WEIGHTS] * values if WEIGHTS in columns and not needs_weights else values)

    def mapped(self, batch: Batch, packed: LaneArguments) -> tuple[Tensor, Tensor]:
        """Return the `(members,)` mean losses of lanes and their gradients by the raw scores."""
        wanted = {name: batch.columns[name] for name in (self.spec.target, WEIGHTS) if name in batch.columns}
        return interface.map_lanes(self._lane, (batch.raw_scores, wanted, self._unpacked(packed)))

    def _unpacked(self, packed: LaneArguments) -> dict[str, Tensor]:
        arguments = {"progress": packed.progress} if "progress" in self.spec.needs else {}
        start = 0
        for name, shape in self.shapes.items():
            end = start + math.prod(shape)
            arguments[name] = ops.reshape(packed.arguments[:, start:end], (-1, *shape))
            start = end
        return arguments

    def _lane(self, lane: tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]) -> tuple[Tensor, Tensor]:
        raw_scores, columns, arguments = lane
        return interface.value_and_gradient(lambda z: self.loss(z, columns, arguments), raw_scores)


class Samples(NamedTuple):
    """Samples of all folds, one after the other, on the device.

    x: features, or several inputs by name; columns: by target kind labels `(n, *spatial_shape, t)`, and
    `sample_weight` `(n,)` where samples are weighted.
    """

    x: Any
    columns: dict[str, Tensor]

    @property
    def number(self) -> int:
        """Number of samples."""
        return int(next(iter(self.columns.values())).shape[0])


class LaneInputs(NamedTuple):
    """Batch order and arguments of lanes in an epoch.

    order: `(lanes, samples)` batch order, as positions in the training samples of all folds; first: `(lanes,)`
    position of the first validation sample of a lane's fold; progress: `(lanes, 2)`, share of training done
    before the epoch and share per step; arguments: `(lanes, width)`, packed.
    """

    order: Tensor
    first: Tensor
    progress: Tensor
    arguments: Tensor


class Outcome(NamedTuple):
    """`(lanes,)` mean losses and `(lanes, samples, *spatial_shape, outputs)` raw scores.

    Training raw scores are in batch order, of the last samples alone where all would be over `KEPT` numbers per lane.
    """

    train_loss: Tensor
    train_raw_scores: Tensor
    val_loss: Tensor
    val_raw_scores: Tensor


class LaneGraph:
    """The compiled epoch of a model, an optimizer and loss groups.

    data: training and validation samples of that many folds, equally many of each, of which only the shapes count;
    width: of packed arguments.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: LaneOptimizer,
        groups: Sequence[Group],
        *,
        data: tuple[Samples, Samples],
        folds: int,
        batch_size: int,
        width: int,
    ) -> None:
        self.model, self.optimizer, self.groups, self.folds, self.width = model, optimizer, list(groups), folds, width
        self.samples, self.validated = (part.number // folds for part in data)
        self.batch = min(batch_size, self.samples)
        optimizer.build(model.trainable_variables)
        signature = (self._state_signature(), self._inputs_signature())
        self._compiled = interface.compiled(self._epoch, data, signature)
        self.is_warm = False

    @property
    def steps(self) -> int:
        """The number of optimizer steps per epoch, the partial last batch included."""
        return -(-self.samples // self.batch)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape `(*spatial_shape, outputs)` of the raw scores of a sample."""
        return tuple(self.model.outputs[0].shape[1:])

    def epoch(
        self, data: tuple[Samples, Samples], state: State, inputs: LaneInputs, arrangement: Any
    ) -> tuple[State, Outcome]:
        """Return every lane after one more epoch on these samples, of what `inputs` returned."""
        return self._compiled(data, arrangement, (state, inputs))

    def initial(self, starts: Sequence[Start], plans: Sequence[Plan]) -> State:
        """Return new lanes, one per plan, with the variables of its start and fresh optimizer state."""

        def stacked(lanes: Iterable[Sequence[np.ndarray]]) -> list[Tensor]:
            return [interface.to_device(np.stack(values)) for values in zip(*lanes, strict=True)]

        return State(
            stacked(start.trainable for start in starts), stacked(start.other for start in starts),
            stacked(map(self.optimizer.initial, plans)),
        )  # fmt: skip

    def weights(self, state: State, lane: int) -> list[np.ndarray]:
        """Return the weights of a lane in the order of `model.weights`."""
        stacked = dict(zip(map(id, self.model.trainable_variables), state.trainable, strict=True))
        stacked |= dict(zip(map(id, self.model.non_trainable_variables), state.other, strict=True))
        return [interface.to_host(stacked[id(v)][lane]) for v in self.model.weights]

    def inputs(
        self, order: np.ndarray, progress: np.ndarray, groups: Sequence[int], arguments: Sequence[Any],
        folds: Sequence[int],
    ) -> tuple[LaneInputs, Any]:  # fmt: skip
        """Return the inputs of an epoch of lanes, and the arrangement of their groups.

        order: `(lanes, samples)`, as positions in each lane's fold; arguments: of each lane, by name; groups: of each
        lane, ascending; folds: of each lane.
        """
        pairs = zip(groups, arguments, strict=True)
        packed = np.stack([self.groups[group].pack(by_name, self.width) for group, by_name in pairs])
        fold = np.asarray(folds, np.int32)
        whole = [order + fold[:, None] * np.int32(self.samples), fold * np.int32(self.validated)]
        parts = (*whole, progress.astype(np.float32), packed)
        return LaneInputs(*map(interface.to_device, parts)), interface.arrange(groups)

    def _state_signature(self) -> State:
        def leaves(variables: Sequence[Any]) -> list[Leaf]:
            return [Leaf(tuple(v.shape), str(v.dtype)) for v in variables]

        model = self.model
        slots = [Leaf(shape, dtype) for shape, dtype in self.optimizer.signature]
        return State(leaves(model.trainable_variables), leaves(model.non_trainable_variables), slots)

    def _inputs_signature(self) -> LaneInputs:
        return LaneInputs(Leaf((self.samples,), "int32"), Leaf((), "int32"), Leaf((2,)), Leaf((self.width,)))

    def _epoch(
        self, data: tuple[Samples, Samples], arrangement: Any, lanes: tuple[State, LaneInputs]
    ) -> tuple[State, Outcome]:
        (train, validation), (state, inputs) = data, lanes
        epoch = Epoch(self, train, validation, arrangement, inputs)
        state, loss, raw_scores = epoch.train_all(state)
        val_loss, val_raw_scores = epoch.validate(state)
        return state, Outcome(loss, raw_scores, val_loss, val_raw_scores)


class Epoch:
    """An epoch while it is traced."""

    def __init__(
        self, graph: LaneGraph, train: Samples, validation: Samples, arrangement: Any, inputs: LaneInputs
    ) -> None:
        self.graph, self.model = graph, graph.model
        self.train, self.validation, self.arrangement, self.inputs = train, validation, arrangement, inputs

    def train_all(self, state: State) -> tuple[State, Tensor, Tensor]:
        """Take every step of training; return the state, `(lanes,)` mean losses, and the raw scores that are kept."""
        graph, inputs, b = self.graph, self.inputs, self.graph.batch
        full, rest = divmod(graph.samples, b)
        batches = ops.transpose(ops.reshape(inputs.order[:, : full * b], (-1, full, b)), (1, 0, 2))
        steps = (batches, ops.arange(full, dtype="float32"))
        carry = (state, ops.zeros_like(inputs.progress[:, 0]))
        silent = max(0, full - KEPT // (b * math.prod(graph.shape)) - 1)
        if silent:
            carry, _ = interface.loop(
                lambda carry, step: (self._counted(carry, step)[0], ()), carry, [s[:silent] for s in steps], ()
            )
        seen = Leaf((b, *graph.shape))
        (state, total), raw_scores = interface.loop(self._counted, carry, [s[silent:] for s in steps], seen)
        raw_scores = _by_lane(raw_scores)
        if rest:
            # as in model.fit, whose last batch is a partial one
            state, loss, last = self._step(state, inputs.order[:, full * b :], full)
            total, raw_scores = total + rest * loss, ops.concatenate([raw_scores, last], 1)
        return state, total / graph.samples, raw_scores

    def _counted(self, carry: tuple[State, Tensor], step: Sequence[Tensor]) -> tuple[tuple[State, Tensor], Tensor]:
        """Train on a full batch; the carry ends with the `(lanes,)` sum of sample losses."""
        state, loss, raw_scores = self._step(carry[0], *step, often=True)
        return (state, carry[1] + self.graph.batch * loss), raw_scores

    def _step(
        self, state: State, positions: Tensor, number: Any, *, often: bool = False
    ) -> tuple[State, Tensor, Tensor]:
        """Take an optimizer step of every lane, on the `(lanes, b)` samples at these positions."""
        x, columns = interface.gather(tuple(self.train), positions)

        def forward(trainable: list[Tensor]) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
            raw_scores, other, penalty = interface.map_lanes(self._forward, (trainable, state.other, x))
            return (raw_scores, penalty), other

        (raw_scores, penalty), other, back = interface.pull_back(forward, state.trainable)
        progress = self._progress(number)
        loss, gradient = self._losses(raw_scores, columns, progress, often=often)
        # the sum over lanes of lane losses: each weight's gradient is its own lane's
        gradients = back((gradient, ops.ones_like(penalty)))
        trainable, slots = self.graph.optimizer.update(state.optimizer, gradients, state.trainable, progress)
        return State(trainable, other, slots), loss + penalty, raw_scores

    def _forward(self, lane: tuple[list[Tensor], list[Tensor], Any]) -> tuple[Tensor, list[Tensor], Tensor]:
        raw_scores, other, penalties = self.model.stateless_call(*lane, training=True, return_losses=True)
        return raw_scores, other, sum(penalties, ops.zeros(()))

    def _progress(self, number: Any) -> Tensor:
        return self.inputs.progress[:, 0] + self.inputs.progress[:, 1] * number

    def _losses(
        self, raw_scores: Tensor, columns: dict[str, Tensor], progress: Tensor, *, often: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return `(lanes,)` mean losses and their gradients by the raw scores."""
        branches = [group.branch for group in self.graph.groups]
        arguments = LaneArguments(progress, self.inputs.arguments)
        return interface.dispatch(branches, self.arrangement, Batch(raw_scores, columns), arguments, often=often)

    def validate(self, state: State) -> tuple[Tensor, Tensor]:
        """Return `(lanes,)` mean losses and the raw scores of all validation samples."""
        number = self.graph.validated
        # a loss of a whole batch is that of all validation samples
        size = number if any(group.spec.level == "batch" for group in self.graph.groups) else TOGETHER
        full, rest = divmod(number, size)
        total, parts = ops.zeros_like(self.inputs.progress[:, 0]), []
        if full:
            pieces = ops.reshape(ops.arange(full * size, dtype="int32"), (full, size))
            seen = Leaf((size, *self.graph.shape))
            total, raw_scores = interface.loop(
                lambda sums, positions: self._validated(state, sums, positions), total, pieces, seen
            )
            parts.append(_by_lane(raw_scores))
        if rest:
            total, raw_scores = self._validated(state, total, ops.arange(full * size, number, dtype="int32"))
            parts.append(raw_scores)
        return total / number, ops.concatenate(parts, 1)

    def _validated(self, state: State, total: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the `(lanes,)` sums of losses, those at these positions of every lane's fold added, and raw scores."""
        in_folds = self.inputs.first[:, None] + positions
        x = interface.gather(self.validation.x, in_folds if self.graph.folds > 1 else positions)
        raw_scores, penalty = self._predict(state, x)
        loss, _ = self._losses(
            raw_scores, interface.gather(self.validation.columns, in_folds), self._progress(self.graph.steps)
        )
        return total + positions.shape[0] * (loss + penalty), raw_scores

    def _predict(self, state: State, x: Any) -> tuple[Tensor, Tensor]:
        """Return raw scores `(lanes, samples, ...)` and `(lanes,)` penalties; without folds all lanes share x."""

        def lane(values: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
            trainable, other, *samples = values
            raw_scores, _, penalties = self.model.stateless_call(
                trainable, other, samples[0] if samples else x, training=False, return_losses=True
            )
            return raw_scores, sum(penalties, ops.zeros(()))

        shared = (state.trainable, state.other)
        return interface.map_lanes(lane, (*shared, x) if self.graph.folds > 1 else shared)


def _by_lane(raw_scores: Tensor) -> Tensor:
    """Return `(steps, lanes, b, ...)` as `(lanes, steps * b, ...)`."""
    steps, _, b, *shape = raw_scores.shape
    return ops.reshape(ops.moveaxis(raw_scores, 0, 1), (-1, steps * b, *shape))
