"""One epoch of many lanes as one TensorFlow graph: map, loop, gradient, compile.

A lane is one training. Everything that belongs to a lane (weights, optimizer state, loss
parameters, batch order) is stacked along a leading lane axis of open length, so that the
number of lanes, and which lane trains with which loss, change nothing in the graph. This is the one
module that is TensorFlow's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lossreg.spec import LossSpec
from lossreg.trainers.base import Plan
from lossreg.trainers.optimizers import LaneOptimizer

Tensor = Any
# Leaves a function out of the graph optimiser, which gains nothing in these and takes .4 s for each
# (33 losses: first epoch 15 s with it, 3 s without).
AS_IT_IS = {"_tf_data_function": True}


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


class Group:
    """Lanes that share a loss function: traced parameters differ, static ones do not.

    shapes gives, by keyword argument, the shape that one lane's value has.
    """

    def __init__(
        self, spec: LossSpec, n_classes: int, static: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.spec, self.n_classes, self.static = spec, n_classes, static
        self.shapes = dict(sorted(shapes.items()))
        self._traced: dict[Any, Any] = {}

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

    def traced(self, signature: Task) -> Any:
        """The graph of `mapped` for tasks of these shapes; made once."""
        key = tuple(tf.nest.flatten(signature))
        if key not in self._traced:
            graph = tf.function(self.mapped, autograph=False, experimental_attributes=AS_IT_IS)
            self._traced[key] = graph.get_concrete_function(signature)
        return self._traced[key]

    def mapped(self, task: Task) -> tuple[Tensor, Tensor]:
        """`(members,)` mean losses and their gradients by the scores, lane by lane."""
        labels = tf.gather(task.labels[self.spec.target], tf.gather(task.rows, task.members))
        lanes = (tf.gather(task.scores, task.members), labels, self._unpacked(task))
        losses, slopes = tf.vectorized_map(self._lane, lanes)
        return losses, slopes

    def _unpacked(self, task: Task) -> dict[str, Tensor]:
        late = {"progress": tf.gather(task.progress, task.members)} if "progress" in self.spec.needs else {}
        if not self.shapes:
            return late
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        parts = tf.split(task.arguments[:, : self.width], sizes, axis=1)
        shaped = zip(self.shapes.items(), parts, strict=True)
        return {name: tf.reshape(part, [-1, *shape]) for (name, shape), part in shaped} | late

    def _lane(self, values: tuple[Tensor, Tensor, dict[str, Tensor]]) -> tuple[Tensor, Tensor]:
        z, labels, own = values
        # the tape stands inside the map: outside it, a loss's custom gradient would come out wrong
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            loss = tf.reduce_mean(self.values(labels, z, own))
        return loss, tape.gradient(loss, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)


class Task(NamedTuple):
    """What a group's part in a step looks at; the same for all groups of a study.

    scores: `(lanes, b, *space, outputs)` of all lanes; labels: by target kind, `(n, *space, t)` of
    the data; rows: `(lanes, b)` into it; progress: `(lanes,)`; members: positions of the group's
    lanes; arguments: `(members, width)`, packed, width being that of the widest group.
    """

    scores: Tensor
    labels: dict[str, Tensor]
    rows: Tensor
    progress: Tensor
    members: Tensor
    arguments: Tensor

    @classmethod
    def signature(cls, scores: Sequence[int], labels: Mapping[str, Tensor], width: int) -> Task:
        """Tasks with any number of lanes and rows, for one sample's scores in this shape and labels like these."""
        kinds = {kind: tf.TensorSpec([None, *labels[kind].shape[1:]]) for kind in sorted(labels)}
        whole, reals = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, width])
        return cls(
            tf.TensorSpec([None, None, *scores]), kinds, tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None]),
            whole, reals,
        )  # fmt: skip


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

    order: `(lanes, rows)` batch order; progress: `(lanes, 2)`, share of training done before the
    epoch and what a step adds; members: `(lanes,)` positions, lanes of one group together;
    arguments: `(lanes, width)`, packed, in the order of members; active: `(groups,)`, the groups
    that have lanes; ends: `(groups + 1,)`, where the members of each begin and end.
    """

    order: Tensor
    progress: Tensor
    members: Tensor
    arguments: Tensor
    active: Tensor
    ends: Tensor


class Outcome(NamedTuple):
    """`(lanes,)` mean losses and `(lanes, rows, outputs)` scores, those of training in batch order."""

    train_loss: Tensor
    train_scores: Tensor
    val_loss: Tensor
    val_scores: Tensor


class LaneGraph:
    """The compiled epoch of a model, an optimizer and a set of loss groups, whose packed arguments have `width`."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: LaneOptimizer,
        groups: Sequence[Group],
        *,
        train: Rows,
        validation: Rows,
        batch_size: int,
        width: int,
    ) -> None:
        self.model, self.optimizer, self.groups = model, optimizer, list(groups)
        self.train, self.validation, self.width = train, validation, width
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

    def initial(self, start: Start, plans: Sequence[Plan]) -> State:
        """New lanes from these variables, one a plan, with fresh optimizer state."""
        lanes = len(plans)

        def stack(value: Any) -> Tensor:
            value = tf.convert_to_tensor(value)
            return tf.tile(value[None], [lanes, *[1] * value.shape.rank])

        slots = zip(*(self.optimizer.initial(plan) for plan in plans), strict=True)
        stacked = [tf.constant(np.stack(slot)) for slot in slots]
        return State([stack(v) for v in start.trainable], [stack(v) for v in start.other], stacked)

    def weights(self, state: State, lane: int) -> list[np.ndarray]:
        """One lane's weights in the order of `model.weights`."""
        stacked = dict(zip(map(id, self.model.trainable_variables), state.trainable, strict=True))
        stacked |= dict(zip(map(id, self.model.non_trainable_variables), state.other, strict=True))
        return [stacked[id(v)][lane].numpy() for v in self.model.weights]

    def _state_signature(self) -> State:
        def open_lanes(variables: Sequence[Any]) -> list[tf.TensorSpec]:
            return [tf.TensorSpec([None, *v.shape], v.dtype) for v in variables]

        model = self.model
        slots = [tf.TensorSpec([None, *shape], dtype) for shape, dtype in self.optimizer.signature]
        return State(open_lanes(model.trainable_variables), open_lanes(model.non_trainable_variables), slots)

    def _lot_signature(self) -> Lot:
        whole = tf.TensorSpec([None], tf.int32)
        order = tf.TensorSpec([None, self.train.number], tf.int32)
        return Lot(order, tf.TensorSpec([None, 2]), whole, tf.TensorSpec([None, self.width]), whole, whole)

    def lot(self, order: np.ndarray, progress: np.ndarray, groups: Sequence[int], arguments: Sequence[Any]) -> Lot:
        """The lot of lanes with these batch orders, progress, groups, and arguments by name."""
        members = np.argsort(groups, kind="stable")
        active, first = np.unique(np.asarray(groups)[members], return_index=True)
        packed = np.stack([self.groups[groups[lane]].pack(arguments[lane], self.width) for lane in members])
        whole = [tf.constant(numbers, tf.int32) for numbers in (members, active, [*first, len(groups)])]
        return Lot(
            tf.constant(order), tf.constant(progress, tf.float32), whole[0], tf.constant(packed), whole[1], whole[2]
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
        every = tf.tile(tf.range(self.validation.number)[None], [tf.shape(lot.order)[0], 1])
        progress = self._progress(lot, tf.constant(self.steps))
        val_loss, _ = self._losses(lot, val_scores, self.validation, every, progress)
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
        progress = self._progress(lot, step)
        loss, slope = self._losses(lot, scores, self.train, rows, progress)
        # the sum over lanes of lane losses: each weight's gradient is its own lane's
        slopes = tape.gradient([scores, penalty], state.trainable, [slope, tf.ones_like(penalty)])
        slopes = [tf.zeros_like(w) if s is None else s for s, w in zip(slopes, state.trainable, strict=True)]
        trainable, slots = self.optimizer.update(state.optimizer, slopes, state.trainable, progress)
        return State(trainable, other, slots), loss + penalty, scores

    def _forward(self, lane: tuple[list[Tensor], list[Tensor], Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        trainable, other, x = lane
        scores, other, penalties = self.model.stateless_call(trainable, other, x, training=True, return_losses=True)
        return scores, other, tf.add_n([tf.constant(0.0), *penalties])

    def _predict(self, state: State) -> tuple[Tensor, Tensor]:
        """Validation scores `(lanes, rows, outputs)` and the `(lanes,)` penalties of regularisers."""

        def lane(weights: tuple[list[Tensor], list[Tensor]]) -> tuple[Tensor, Tensor]:
            x = self.validation.x
            scores, _, penalties = self.model.stateless_call(*weights, x, training=False, return_losses=True)
            return scores, tf.add_n([tf.constant(0.0), *penalties])

        return tf.vectorized_map(lane, (state.trainable, state.other))

    def _progress(self, lot: Lot, step: Tensor) -> Tensor:
        return lot.progress[:, 0] + lot.progress[:, 1] * tf.cast(step, tf.float32)

    def _losses(self, lot: Lot, scores: Tensor, data: Rows, rows: Tensor, progress: Tensor) -> tuple[Tensor, Tensor]:
        """`(lanes,)` mean losses and their gradients by `scores`, each group mapped over its own lanes."""
        shape = scores.shape[2:]
        graphs = [group.traced(Task.signature(shape, data.labels, self.width)) for group in self.groups]
        losses, slopes = (
            tf.TensorArray(tf.float32, tf.size(lot.active), infer_shape=False, element_shape=element)
            for element in ([None], [None, None, *shape])
        )

        def body(i: Tensor, losses: Any, slopes: Any) -> tuple[Tensor, Any, Any]:
            own = slice(lot.ends[i], lot.ends[i + 1])
            task = Task(scores, data.labels, rows, progress, lot.members[own], lot.arguments[own])
            # not tf.switch_case: it is spread out over the graph around it, where branches not taken still cost time
            loss, slope = tf.raw_ops.StatelessCase(
                branch_index=lot.active[i], input=tf.nest.flatten(task), Tout=[tf.float32, tf.float32],
                branches=graphs, output_shapes=[[None], [None, None, *shape]],
            )  # fmt: skip
            return i + 1, losses.write(i, loss), slopes.write(i, slope)

        _, losses, slopes = tf.while_loop(
            lambda i, *_: i < tf.size(lot.active), body, (tf.constant(0), losses, slopes), parallel_iterations=1
        )
        back = tf.math.invert_permutation(lot.members)
        sloped = tf.ensure_shape(tf.gather(slopes.concat(), back), scores.shape)
        return tf.ensure_shape(tf.gather(losses.concat(), back), [None]), sloped
