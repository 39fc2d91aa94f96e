"""One epoch of many lanes as one program.

A lane is one training. Everything that belongs to a lane (weights, optimizer state, loss
parameters, batch order) is stacked along a leading lane axis of open length, so that the
number of lanes, and which lane trains with which loss, change nothing in the program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
# Rows of validation that all lanes look at together, and numbers of training scores kept a lane.
TOGETHER, KEPT = 1024, 2**20


class Start(NamedTuple):
    """A model's variables before training; among the others are the states of its random generators."""

    trainable: list[np.ndarray]
    other: list[np.ndarray]

    @classmethod
    def of(cls, model: keras.Model) -> Start:
        """Those of a freshly built model."""
        parts = (model.trainable_variables, model.non_trainable_variables)
        return cls(*([ops.convert_to_numpy(variable) for variable in part] for part in parts))


class State(NamedTuple):
    """Trainable weights, other weights and optimizer variables, each stacked over lanes."""

    trainable: list[Tensor]
    other: list[Tensor]
    optimizer: list[Tensor]

    def take(self, lanes: Sequence[int]) -> State:
        """The lanes at these positions, in this order."""
        return interface.take(self, lanes)

    def join(self, more: State) -> State:
        """These lanes, then those."""
        return interface.join(self, more)


class Batch(NamedTuple):
    """Rows of some lanes.

    scores: `(lanes, b, *space, outputs)`; columns: by target kind labels `(lanes, b, *space, t)`,
    and `sample_weight` `(lanes, b)` where rows are weighted.
    """

    scores: Tensor
    columns: dict[str, Tensor]


class Own(NamedTuple):
    """What a lane's loss is given besides: `(lanes,)` progress and `(lanes, width)` packed arguments."""

    progress: Tensor
    arguments: Tensor


class Group:
    """Lanes that share a loss function: traced parameters differ, static ones do not.

    shapes gives, by keyword argument, the shape that one lane's value has.
    """

    def __init__(
        self, spec: LossSpec, n_classes: int, static: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.spec, self.n_classes, self.static = spec, n_classes, static
        self.shapes = dict(sorted(shapes.items()))
        self.branch = interface.branch(self.mapped)

    @property
    def width(self) -> int:
        """How many numbers one lane's arguments are."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def pack(self, arguments: Mapping[str, np.ndarray], width: int) -> np.ndarray:
        """One lane's arguments as `(width,)` numbers, zeros at the end."""
        own = [np.ravel(arguments[name]) for name in self.shapes]
        return np.concatenate([*own, np.zeros(width - self.width)]).astype(np.float32)

    def values(self, y: Tensor, scores: Tensor, arguments: Mapping[str, Tensor]) -> Tensor:
        """One lane's losses: `(b, *space, t)` labels and `(b, *space, outputs)` scores to `(b,)`."""
        return self.spec.values(y, scores, self.n_classes, {**self.static, **arguments})

    def loss(self, scores: Tensor, columns: Mapping[str, Tensor], arguments: Mapping[str, Tensor]) -> Tensor:
        """One lane's mean loss; weights multiply the losses, or are handed to a loss that asks for them."""
        y, given = columns[self.spec.target], WEIGHTS in self.spec.needs
        values = self.values(y, scores, {**arguments, WEIGHTS: columns[WEIGHTS]} if given else arguments)
        return ops.mean(columns[WEIGHTS] * values if WEIGHTS in columns and not given else values)

    def mapped(self, batch: Batch, own: Own) -> tuple[Tensor, Tensor]:
        """`(members,)` mean losses and their gradients by the scores, lane by lane."""
        wanted = {name: batch.columns[name] for name in (self.spec.target, WEIGHTS) if name in batch.columns}
        return interface.map_lanes(self._lane, (batch.scores, wanted, self._unpacked(own)))

    def _unpacked(self, own: Own) -> dict[str, Tensor]:
        found = {"progress": own.progress} if "progress" in self.spec.needs else {}
        at = 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            found[name] = ops.reshape(own.arguments[:, at : at + size], (-1, *shape))
            at += size
        return found

    def _lane(self, lane: tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]) -> tuple[Tensor, Tensor]:
        scores, columns, arguments = lane
        return interface.value_and_slope(lambda z: self.loss(z, columns, arguments), scores)


class Rows(NamedTuple):
    """Rows of all folds, one after the other, on the device.

    x: features, or several inputs by name; columns: by target kind labels `(n, *space, t)`, and
    `sample_weight` `(n,)` where rows are weighted.
    """

    x: Any
    columns: dict[str, Tensor]

    @property
    def number(self) -> int:
        """Number of rows."""
        return int(next(iter(self.columns.values())).shape[0])


class Lot(NamedTuple):
    """What differs between lanes besides their state.

    order: `(lanes, rows)` batch order, as rows of the training data of all folds; first: `(lanes,)`,
    where the validation rows of a lane's fold begin; progress: `(lanes, 2)`, share of training done
    before the epoch and what a step adds; arguments: `(lanes, width)`, packed.
    """

    order: Tensor
    first: Tensor
    progress: Tensor
    arguments: Tensor


class Outcome(NamedTuple):
    """`(lanes,)` mean losses and `(lanes, rows, *space, outputs)` scores.

    Those of training in batch order, of the last rows alone where all would be more than `KEPT` numbers a lane.
    """

    train_loss: Tensor
    train_scores: Tensor
    val_loss: Tensor
    val_scores: Tensor


class LaneGraph:
    """The compiled epoch of a model, an optimizer and a set of loss groups, whose packed arguments have `width`.

    train and validation hold the rows of that many folds, equally many of each.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: LaneOptimizer,
        groups: Sequence[Group],
        *,
        train: Rows,
        validation: Rows,
        folds: int,
        batch_size: int,
        width: int,
    ) -> None:
        self.model, self.optimizer, self.groups, self.folds, self.width = model, optimizer, list(groups), folds, width
        self.rows, self.validated = train.number // folds, validation.number // folds
        self.batch = min(batch_size, self.rows)
        optimizer.build(model.trainable_variables)
        signature = (self._state_signature(), self._lot_signature())
        self._compiled = interface.compiled(self._epoch, (train, validation), signature)

    @property
    def steps(self) -> int:
        """Optimizer steps an epoch, the partial last batch included."""
        return -(-self.rows // self.batch)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row's scores, `(*space, outputs)`."""
        return tuple(self.model.outputs[0].shape[1:])

    def epoch(self, state: State, lot: Lot, arrangement: Any) -> tuple[State, Outcome]:
        """Every lane after one epoch; the lot and its arrangement are those of `lot`."""
        return self._compiled(arrangement, (state, lot))

    def initial(self, start: Start, plans: Sequence[Plan]) -> State:
        """New lanes from these variables, one a plan, with fresh optimizer state."""

        def stack(value: np.ndarray) -> Tensor:
            return interface.to_device(np.repeat(value[None], len(plans), 0))

        slots = zip(*(self.optimizer.initial(plan) for plan in plans), strict=True)
        stacked = [interface.to_device(np.stack(slot)) for slot in slots]
        return State([stack(v) for v in start.trainable], [stack(v) for v in start.other], stacked)

    def weights(self, state: State, lane: int) -> list[np.ndarray]:
        """One lane's weights in the order of `model.weights`."""
        stacked = dict(zip(map(id, self.model.trainable_variables), state.trainable, strict=True))
        stacked |= dict(zip(map(id, self.model.non_trainable_variables), state.other, strict=True))
        return [interface.to_host(stacked[id(v)][lane]) for v in self.model.weights]

    def lot(
        self, order: np.ndarray, progress: np.ndarray, groups: Sequence[int], arguments: Sequence[Any],
        folds: Sequence[int],
    ) -> tuple[Lot, Any]:  # fmt: skip
        """The lot of lanes with these batch orders (rows of their own fold), progress and arguments by name.

        groups rise from lane to lane; folds say which each trains on.
        """
        pairs = zip(groups, arguments, strict=True)
        packed = np.stack([self.groups[own].pack(by_name, self.width) for own, by_name in pairs])
        fold = np.asarray(folds, np.int32)
        whole = [order + fold[:, None] * np.int32(self.rows), fold * np.int32(self.validated)]
        parts = (*whole, progress.astype(np.float32), packed)
        return Lot(*map(interface.to_device, parts)), interface.arrange(groups)

    def _state_signature(self) -> State:
        def leaves(variables: Sequence[Any]) -> list[Leaf]:
            return [Leaf(tuple(v.shape), str(v.dtype)) for v in variables]

        model = self.model
        slots = [Leaf(shape, dtype) for shape, dtype in self.optimizer.signature]
        return State(leaves(model.trainable_variables), leaves(model.non_trainable_variables), slots)

    def _lot_signature(self) -> Lot:
        return Lot(Leaf((self.rows,), "int32"), Leaf((), "int32"), Leaf((2,)), Leaf((self.width,)))

    def _epoch(self, data: tuple[Rows, Rows], arrangement: Any, lanes: tuple[State, Lot]) -> tuple[State, Outcome]:
        (train, validation), (state, lot) = data, lanes
        epoch = Epoch(self, train, validation, arrangement, lot)
        state, loss, scores = epoch.train_all(state)
        val_loss, val_scores = epoch.validate(state)
        return state, Outcome(loss, scores, val_loss, val_scores)


class Epoch:
    """An epoch while it is traced: a graph's parts and the tensors that do not change in it."""

    def __init__(self, graph: LaneGraph, train: Rows, validation: Rows, arrangement: Any, lot: Lot) -> None:
        self.graph, self.model = graph, graph.model
        self.train, self.validation, self.arrangement, self.lot = train, validation, arrangement, lot

    def train_all(self, state: State) -> tuple[State, Tensor, Tensor]:
        """Every step: new state, `(lanes,)` mean loss, and the scores that are kept."""
        graph, lot, b = self.graph, self.lot, self.graph.batch
        full, rest = divmod(graph.rows, b)
        batches = ops.transpose(ops.reshape(lot.order[:, : full * b], (-1, full, b)), (1, 0, 2))
        steps = (batches, ops.arange(full, dtype="float32"))
        carry = (state, ops.zeros_like(lot.progress[:, 0]))
        silent = max(0, full - KEPT // (b * math.prod(graph.shape)) - 1)
        if silent:
            carry, _ = interface.loop(
                lambda own, step: (self._counted(own, step)[0], ()), carry, [s[:silent] for s in steps], ()
            )
        seen = Leaf((b, *graph.shape))
        (state, total), scores = interface.loop(self._counted, carry, [s[silent:] for s in steps], seen)
        scores = _rows_of_lanes(scores)
        if rest:
            # model.fit has a partial last batch at its true size, so lanes must
            state, loss, last = self._step(state, lot.order[:, full * b :], full)
            total, scores = total + rest * loss, ops.concatenate([scores, last], 1)
        return state, total / graph.rows, scores

    def _counted(self, carry: tuple[State, Tensor], step: Sequence[Tensor]) -> tuple[tuple[State, Tensor], Tensor]:
        """A full batch, with the `(lanes,)` sum of sample losses so far."""
        state, loss, scores = self._step(carry[0], *step, often=True)
        return (state, carry[1] + self.graph.batch * loss), scores

    def _step(self, state: State, rows: Tensor, number: Any, *, often: bool = False) -> tuple[State, Tensor, Tensor]:
        """One optimizer step of every lane on its own `(lanes, b)` rows."""
        x, columns = interface.gather(tuple(self.train), rows)

        def forward(trainable: list[Tensor]) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
            scores, other, penalty = interface.map_lanes(self._forward, (trainable, state.other, x))
            return (scores, penalty), other

        (scores, penalty), other, back = interface.pull_back(forward, state.trainable)
        progress = self._progress(number)
        loss, slope = self._losses(scores, columns, progress, often=often)
        # the sum over lanes of lane losses: each weight's gradient is its own lane's
        slopes = back((slope, ops.ones_like(penalty)))
        trainable, slots = self.graph.optimizer.update(state.optimizer, slopes, state.trainable, progress)
        return State(trainable, other, slots), loss + penalty, scores

    def _forward(self, lane: tuple[list[Tensor], list[Tensor], Any]) -> tuple[Tensor, list[Tensor], Tensor]:
        scores, other, penalties = self.model.stateless_call(*lane, training=True, return_losses=True)
        return scores, other, sum(penalties, ops.zeros(()))

    def _progress(self, number: Any) -> Tensor:
        return self.lot.progress[:, 0] + self.lot.progress[:, 1] * number

    def _losses(
        self, scores: Tensor, columns: dict[str, Tensor], progress: Tensor, *, often: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`(lanes,)` mean losses and their gradients by `scores`, each group mapped over its own lanes."""
        branches, own = [group.branch for group in self.graph.groups], Own(progress, self.lot.arguments)
        return interface.dispatch(branches, self.arrangement, Batch(scores, columns), own, often=often)

    def validate(self, state: State) -> tuple[Tensor, Tensor]:
        """`(lanes,)` mean loss and the scores of all validation rows."""
        number = self.graph.validated
        # a loss of a whole batch is one of all validation rows
        size = number if any(group.spec.level == "batch" for group in self.graph.groups) else TOGETHER
        full, rest = divmod(number, size)
        total, parts = ops.zeros_like(self.lot.progress[:, 0]), []
        if full:
            pieces = ops.reshape(ops.arange(full * size, dtype="int32"), (full, size))
            seen = Leaf((size, *self.graph.shape))
            total, scores = interface.loop(lambda sums, rows: self._validated(state, sums, rows), total, pieces, seen)
            parts.append(_rows_of_lanes(scores))
        if rest:
            total, scores = self._validated(state, total, ops.arange(full * size, number, dtype="int32"))
            parts.append(scores)
        return total / number, ops.concatenate(parts, 1)

    def _validated(self, state: State, total: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The `(lanes,)` sum of losses with these rows of every lane's fold, and their scores."""
        places = self.lot.first[:, None] + rows
        x = interface.gather(self.validation.x, places if self.graph.folds > 1 else rows)
        scores, penalty = self._predict(state, x)
        loss, _ = self._losses(
            scores, interface.gather(self.validation.columns, places), self._progress(self.graph.steps)
        )
        return total + rows.shape[0] * (loss + penalty), scores

    def _predict(self, state: State, x: Any) -> tuple[Tensor, Tensor]:
        """Scores `(lanes, rows, outputs)` and the `(lanes,)` penalties of regularisers; without folds lanes share x."""

        def lane(own: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
            trainable, other, *rows = own
            scores, _, penalties = self.model.stateless_call(
                trainable, other, rows[0] if rows else x, training=False, return_losses=True
            )
            return scores, sum(penalties, ops.zeros(()))

        shared = (state.trainable, state.other)
        return interface.map_lanes(lane, (*shared, x) if self.graph.folds > 1 else shared)


def _rows_of_lanes(scores: Tensor) -> Tensor:
    """`(steps, lanes, b, ...)` as `(lanes, steps * b, ...)`."""
    steps, _, b, *shape = scores.shape
    return ops.reshape(ops.moveaxis(scores, 0, 1), (-1, steps * b, *shape))
