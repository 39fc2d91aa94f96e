"""One epoch of many lanes as one TensorFlow graph: map, loop, gradient, compile.

A lane is one training. Everything that belongs to a lane (weights, optimizer state, loss
parameters, batch order) is stacked along a leading lane axis of open length, so that the
number of lanes, and which lane trains with which loss, change nothing in the graph. This is the one
module that is TensorFlow's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lossreg.spec import LossSpec

Tensor = Any


class Start(NamedTuple):
    """A model's variables before training; among the others are the states of its random generators."""

    trainable: list[np.ndarray]
    other: list[np.ndarray]

    @classmethod
    def of(cls, model: keras.Model) -> Start:
        """Those of a freshly built model."""
        parts = (model.trainable_variables, model.non_trainable_variables)
        return cls(*([keras.ops.convert_to_numpy(variable) for variable in part] for part in parts))


class State(NamedTuple):
    """Trainable weights, other weights and optimizer variables, each stacked over lanes."""

    trainable: list[Tensor]
    other: list[Tensor]
    optimizer: list[Tensor]

    def take(self, lanes: Sequence[int]) -> State:
        """The lanes at these positions, in this order."""
        return State(*([tf.gather(tensor, list(lanes)) for tensor in part] for part in self))

    def join(self, more: State) -> State:
        """These lanes, then those."""
        return State(
            *([tf.concat(pair, 0) for pair in zip(own, new, strict=True)] for own, new in zip(self, more, strict=True))
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Lanes that share a loss function: traced parameters differ, static ones do not.

    shapes gives, by keyword argument, the shape that one lane's value has.
    """

    spec: LossSpec
    n_classes: int
    static: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def loss(self, y: Tensor, scores: Tensor, arguments: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of one lane's batch: `(b, t)` labels and `(b, outputs)` scores to a scalar."""
        return tf.reduce_mean(self.spec.values(y, scores, self.n_classes, {**self.static, **arguments}))


class Rows(NamedTuple):
    """Features and, by target kind, labels; resident on the device."""

    x: Tensor
    labels: dict[str, Tensor]

    @property
    def number(self) -> int:
        """Number of rows."""
        return int(self.x.shape[0])


class Lot(NamedTuple):
    """What differs between lanes besides their state.

    order: `(lanes, rows)` batch order; members: by group, positions of its lanes;
    arguments: by group, keyword arguments stacked over its lanes; progress: `(lanes, 2)`,
    share of training done before the epoch and what a step adds.
    """

    order: Tensor
    members: list[Tensor]
    arguments: list[dict[str, Tensor]]
    progress: Tensor


class Outcome(NamedTuple):
    """`(lanes,)` mean losses and `(lanes, rows, outputs)` scores, those of training in batch order."""

    train_loss: Tensor
    train_scores: Tensor
    val_loss: Tensor
    val_scores: Tensor


class LaneGraph:
    """The compiled epoch of a model, an optimizer and a set of loss groups."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        groups: Sequence[Group],
        *,
        train: Rows,
        validation: Rows,
        batch_size: int,
    ) -> None:
        self.model, self.optimizer, self.groups = model, optimizer, list(groups)
        self.train, self.validation = train, validation
        self.batch = min(batch_size, train.number)
        optimizer.build(model.trainable_variables)
        # traced here, once: threads that call a tf.function for the first time would each trace it
        self.epoch: Callable[[State, Lot], tuple[State, Outcome]] = tf.function(
            self._epoch, input_signature=[self._state_signature(), self._lot_signature()], autograph=False
        ).get_concrete_function()

    @property
    def steps(self) -> int:
        """Optimizer steps an epoch, the partial last batch included."""
        return -(-self.train.number // self.batch)

    def initial(self, start: Start, learning_rates: Sequence[float]) -> State:
        """New lanes from these variables, one a learning rate, with fresh optimizer state."""
        lanes = len(learning_rates)

        def stack(value: Any) -> Tensor:
            value = tf.convert_to_tensor(value)
            return tf.tile(value[None], [lanes, *[1] * value.shape.rank])

        rate = self.optimizer._learning_rate
        slots = [
            tf.constant(learning_rates, tf.float32) if v is rate else stack(v.value) for v in self.optimizer.variables
        ]
        return State([stack(v) for v in start.trainable], [stack(v) for v in start.other], slots)

    def weights(self, state: State, lane: int) -> list[np.ndarray]:
        """One lane's weights in the order of `model.weights`."""
        stacked = dict(zip(map(id, self.model.trainable_variables), state.trainable, strict=True))
        stacked |= dict(zip(map(id, self.model.non_trainable_variables), state.other, strict=True))
        return [stacked[id(v)][lane].numpy() for v in self.model.weights]

    def _state_signature(self) -> State:
        def open_lanes(variables: Sequence[Any]) -> list[tf.TensorSpec]:
            return [tf.TensorSpec([None, *v.shape], v.dtype) for v in variables]

        model = self.model
        return State(
            *map(open_lanes, (model.trainable_variables, model.non_trainable_variables, self.optimizer.variables))
        )

    def _lot_signature(self) -> Lot:
        return Lot(
            tf.TensorSpec([None, self.train.number], tf.int32),
            [tf.TensorSpec([None], tf.int32) for _ in self.groups],
            [{name: tf.TensorSpec([None, *s], tf.float32) for name, s in g.shapes.items()} for g in self.groups],
            tf.TensorSpec([None, 2], tf.float32),
        )

    def _epoch(self, state: State, lot: Lot) -> tuple[State, Outcome]:
        full = self.train.number // self.batch
        state, loss, scores = self._loop(state, lot, full)
        if rest := self.train.number - full * self.batch:
            # model.fit has a partial last batch at its true size, so lanes must
            rows = lot.order[:, -rest:]
            state, last_loss, last_scores = self._step(state, lot, rows, tf.constant(full))
            loss, scores = loss + rest * last_loss, tf.concat([scores, last_scores], 1)
        val_scores, penalty = self._predict(state)
        val_loss = self._losses(lot, val_scores, self.validation, None, self._progress(lot, tf.constant(self.steps)))[0]
        return state, Outcome(loss / self.train.number, scores, val_loss + penalty, val_scores)

    def _loop(self, state: State, lot: Lot, steps: int) -> tuple[State, Tensor, Tensor]:
        """The full batches: new state, `(lanes,)` sum of sample losses, `(lanes, steps * b, outputs)` scores."""
        b, lanes = self.batch, tf.shape(lot.order)[0]
        width = self.model.outputs[0].shape[1:]
        seen = tf.TensorArray(tf.float32, steps, element_shape=[None, b, *width])

        def body(i: Tensor, state: State, total: Tensor, seen: Any) -> tuple[Tensor, State, Tensor, Any]:
            rows = lot.order[:, i * b : (i + 1) * b]
            rows.set_shape([None, b])
            state, loss, scores = self._step(state, lot, rows, i)
            return i + 1, state, total + b * loss, seen.write(i, scores)

        total = tf.zeros([lanes])
        _, state, total, seen = tf.while_loop(
            lambda i, *_: i < steps, body, (tf.constant(0), state, total, seen), parallel_iterations=1,
            shape_invariants=(tf.TensorShape([]), tf.nest.map_structure(lambda t: t.shape, self._state_signature()),
                              tf.TensorShape([None]), tf.TensorShape(None)),
        )  # fmt: skip
        scores = tf.transpose(seen.stack(), [1, 0, *range(2, 3 + len(width))])
        return state, total, tf.reshape(scores, [lanes, steps * b, *width])

    def _step(self, state: State, lot: Lot, rows: Tensor, step: Tensor) -> tuple[State, Tensor, Tensor]:
        """One optimizer step of every lane on its own `(lanes, b)` rows."""
        x = tf.gather(self.train.x, rows)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.trainable)
            scores, other, penalty = tf.vectorized_map(self._forward, (state.trainable, state.other, x))
        loss, slope = self._losses(lot, scores, self.train, rows, self._progress(lot, step))
        # the sum over lanes of lane losses: each weight's gradient is its own lane's
        slopes = tape.gradient([scores, penalty], state.trainable, [slope, tf.ones_like(penalty)])
        slopes = [tf.zeros_like(w) if s is None else s for s, w in zip(slopes, state.trainable, strict=True)]
        trainable, slots = tf.vectorized_map(self._update, (state.optimizer, slopes, state.trainable))
        return State(trainable, other, slots), loss + penalty, scores

    def _forward(self, lane: tuple[list[Tensor], list[Tensor], Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        trainable, other, x = lane
        scores, other, penalties = self.model.stateless_call(trainable, other, x, training=True, return_losses=True)
        return scores, other, tf.add_n([tf.constant(0.0), *penalties])

    def _update(self, lane: tuple[list[Tensor], list[Tensor], list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
        return self.optimizer.stateless_apply(*lane)

    def _predict(self, state: State) -> tuple[Tensor, Tensor]:
        """Validation scores `(lanes, rows, outputs)` and the `(lanes,)` penalties of regularisers."""

        def lane(weights: tuple[list[Tensor], list[Tensor]]) -> tuple[Tensor, Tensor]:
            x = self.validation.x
            scores, _, penalties = self.model.stateless_call(*weights, x, training=False, return_losses=True)
            return scores, tf.add_n([tf.constant(0.0), *penalties])

        return tf.vectorized_map(lane, (state.trainable, state.other))

    def _progress(self, lot: Lot, step: Tensor) -> Tensor:
        return lot.progress[:, 0] + lot.progress[:, 1] * tf.cast(step, tf.float32)

    def _losses(
        self, lot: Lot, scores: Tensor, data: Rows, rows: Tensor | None, progress: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`(lanes,)` mean losses and their gradients by `scores`, each group mapped over its own lanes."""
        parts = [
            self._group_losses(group, tf.gather(scores, members), self._labels(group, data, rows, members),
                               self._late(group, arguments, tf.gather(progress, members)))
            for group, members, arguments in zip(self.groups, lot.members, lot.arguments, strict=True)
        ]  # fmt: skip
        losses, slopes = zip(*parts, strict=True)
        return tf.dynamic_stitch(lot.members, list(losses)), tf.dynamic_stitch(lot.members, list(slopes))

    @staticmethod
    def _labels(group: Group, data: Rows, rows: Tensor | None, members: Tensor) -> Tensor:
        labels = data.labels[group.spec.target]
        if rows is None:
            return tf.tile(labels[None], [tf.shape(members)[0], 1, 1])
        return tf.gather(labels, tf.gather(rows, members))

    @staticmethod
    def _late(group: Group, arguments: dict[str, Tensor], progress: Tensor) -> dict[str, Tensor]:
        return {**arguments, "progress": progress} if "progress" in group.spec.needs else arguments

    @staticmethod
    def _group_losses(group: Group, scores: Tensor, y: Tensor, arguments: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        def lane(values: tuple[Tensor, Tensor, dict[str, Tensor]]) -> tuple[Tensor, Tensor]:
            z, labels, own = values
            # the tape stands inside the map: outside it, a loss's custom gradient would come out wrong
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(z)
                loss = group.loss(labels, z, own)
            return loss, tape.gradient(loss, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        losses, slopes = tf.vectorized_map(lane, (scores, y, arguments))
        return losses, slopes
