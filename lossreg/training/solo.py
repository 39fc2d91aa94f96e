"""`Fit`: plans trained one after the other through `model.fit`, for whatever a population refuses."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from lossreg.models.raw_scores import own_steps
from lossreg.storage.records import Weights
from lossreg.training import optimizers
from lossreg.training.backends import interface
from lossreg.training.interface import EpochReport, Plan, Problem, batch_order
from lossreg.training.lane_graph import KEPT, WEIGHTS
from lossreg.training.loss_arguments import loss_arguments, static_arguments, static_key
from lossreg.training.scoring import predicts_only, score_lanes

ROWS = 1024  # scored at once after an epoch
SOLOS, STARTS = 8, 32  # compiled models, and sets of initial values, that are kept


class Seen(keras.metrics.Metric):
    """Keeps the raw scores of an epoch's last training rows in the order in which they came.

    It holds the variables of the loss too: a backend's graph knows those of the model, of the optimizer
    and of metrics. rows: of an epoch; batch: of a step; shape: of one row's scores.
    """

    def __init__(self, rows: int, batch: int, shape: tuple[int, ...]) -> None:
        super().__init__(name="seen")
        # whole batches at the start are left out where all scores would be more than KEPT numbers
        self.rows, self.silent = rows, batch * max(0, rows // batch - KEPT // (batch * math.prod(shape)) - 1)
        self.scores = self.add_variable((rows - self.silent + 1, *shape), "zeros", name="scores")
        self.count = self.add_variable((), "zeros", dtype="int32", name="count")
        self.step = self.add_variable((), "zeros", dtype="int32", name="step")
        self.steps = self.add_variable((), "ones", name="steps")
        self.arguments: dict[str, Any] = {}

    def hold(self, arguments: Mapping[str, np.ndarray], steps: int) -> None:
        """Set the loss's arguments, and how many steps the training has."""
        for name, value in arguments.items():
            if name not in self.arguments:
                self.arguments[name] = self.add_variable(value.shape, "zeros", name=name)
            self.arguments[name].assign(value)
        self.steps.assign(steps)

    def reset_state(self) -> None:
        """Begin an epoch."""
        self.count.assign(0)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Append the `(batch, *space, outputs)` scores of a batch."""
        number = ops.shape(y_pred)[0]
        rows = self.count + ops.arange(number, dtype="int32") - self.silent
        # one more row takes what is left out
        rows = ops.where(rows < 0, self.rows - self.silent, rows) if self.silent else rows
        self.scores.assign(ops.scatter_update(self.scores.value, rows[:, None], ops.cast(y_pred, "float32")))
        self.count.assign(self.count + number)

    def result(self) -> Any:
        """The number of rows seen."""
        return ops.convert_to_tensor(self.count)

    def kept(self) -> np.ndarray | None:
        """The scores `(rows, *space, outputs)`; None where the model's own step of training does not tell them."""
        if int(ops.convert_to_numpy(self.count)) != self.rows:
            return None
        return np.asarray(ops.convert_to_numpy(self.scores))[:-1]


class Objective(keras.losses.Loss):
    """The mean loss of a batch as lanes have it: rows count by their weights, and masks of the model do not."""

    def __init__(self, problem: Problem, plan: Plan, seen: Seen) -> None:
        super().__init__(name="loss")
        self.spec, self.n_classes, self.seen = problem.losses[plan.candidate], problem.dataset.n_classes, seen
        self.static = static_arguments(self.spec, plan.params, self.n_classes)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a step of training, which is counted."""
        progress = ops.cast(self.seen.step, "float32") / self.seen.steps
        if "progress" in self.spec.needs:
            self.seen.step.assign(self.seen.step + 1)
        return self.mean(y_true, y_pred, sample_weight, progress)

    def mean(self, y: Any, scores: Any, weights: Any, progress: Any) -> Any:
        """The mean loss of rows, with this share of the training done."""
        needs, arguments = self.spec.needs, {**self.static, **self.seen.arguments}
        if "progress" in needs:
            arguments["progress"] = progress
        if WEIGHTS in needs:
            arguments[WEIGHTS] = ops.ones(ops.shape(scores)[:1]) if weights is None else weights
        values = self.spec.values(y, scores, self.n_classes, arguments)
        return ops.mean(values if weights is None or WEIGHTS in needs else weights * values)


class Solo:
    """A compiled model with its optimizer; plans that differ in numbers alone take turns in it."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.problem, rows = problem, len(problem.folds[plan.fold].train.y)
        self.batch = min(problem.architecture(plan).batch_size, rows)
        self.steps = -(-rows // self.batch)
        self.model = problem.build(problem.outputs(plan.candidate), plan.seed, plan.architecture)
        self.variables = list(self.model.variables)
        self.seen = Seen(rows, self.batch, tuple(self.model.outputs[0].shape[1:]))
        self.objective = Objective(problem, plan, self.seen)
        # a step of the user's own may not tell metrics anything, which `fit` takes for a mistake
        told = None if "train_step" in own_steps(type(self.model)) else [self.seen]
        self.reused = optimizers.solo(problem, plan)
        self.model.compile(self.reused, self.objective, metrics=told, **interface.compilation(self.steps))
        self.optimizer = self.model.optimizer
        self.optimizer.build(self.model.trainable_variables)
        self.fresh = _values(self.optimizer.variables)
        self.holder: Seat | None = None
        self._penalised = True

    def enter(self, seat: Seat) -> None:
        """Let this seat's training go on, after putting away what another's has come to."""
        if self.holder is seat:
            return
        if self.holder:
            self.holder.state = _values(self.variables), _values(self.optimizer.variables)
        self.holder, plan, (weights, slots) = seat, seat.plan, seat.state
        _assign(self.variables, weights)
        _assign(self.optimizer.variables, slots or self.fresh)
        if not slots:
            self.reused.start(plan, self.steps * plan.epochs)
        data = self.problem.folds[plan.fold]
        self.seen.hold(loss_arguments(self.objective.spec, plan.params, data.constants), self.steps * plan.epochs)

    def train(self, batches: Mapping[str, Any], epoch: int, *, last: bool) -> float:
        """An epoch, counted from 0, of these arguments of `fit`; its mean loss."""
        self.seen.step.assign(epoch * self.steps)
        self.reused.ends = last
        logs = self.model.fit(**batches, verbose=0).history
        return float(logs.get("loss", next(iter(logs.values())))[-1])

    def predict(self, x: Any) -> tuple[np.ndarray, float]:
        """Raw scores `(rows, *space, outputs)` and the penalty of regularisers, the rows' mean over batches."""
        number = len(keras.tree.flatten(x)[0])
        parts = [self._predict(_cut(x, slice(start, start + ROWS))) for start in range(0, number, ROWS)]
        penalty = sum(len(scores) * penalty for scores, penalty in parts) / number
        return np.concatenate([scores for scores, _ in parts]), penalty

    def _predict(self, x: Any) -> tuple[np.ndarray, float]:
        model = self.model
        if not self._penalised:
            return np.asarray(model.predict_on_batch(x)), 0.0
        # stateless: `model.losses` would hold the tensors of the graph that last trained
        values = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]
        x = keras.tree.map_structure(ops.convert_to_tensor, x)
        scores, _, penalties = model.stateless_call(*values, x, training=False, return_losses=True)
        usual = type(model).predict_step is keras.Model.predict_step
        self._penalised = bool(penalties) or not usual
        return np.asarray(ops.convert_to_numpy(scores)), float(sum(penalties))


@dataclass(slots=True, eq=False)
class Seat:
    """A plan in a slot, how far it has come, and while another's turn it is its weights and the optimizer's."""

    plan: Plan
    solo: Solo
    state: tuple[list[np.ndarray], list[np.ndarray]]
    epoch: int = 0


class Fit:
    """As many slots as a trial has members, trained in turn; the same batches and reports as lanes of a population."""

    name = "fit"

    def __init__(self, problem: Problem, slots: int = 1) -> None:
        self.problem, self.slots = problem, slots
        self._seats: dict[int, Seat] = {}
        self._solos: dict[Any, Solo] = {}
        self._starts: dict[Any, list[np.ndarray]] = {}
        self._rows: dict[Any, Any] = {}
        self._feeds: dict[Any, Any] = {}

    def refuses(self, candidate: str) -> str:
        """Nothing is refused."""
        return ""

    def prepare(self) -> None:
        """Nothing is built before a plan says for what."""

    def open(self, slot: int, plan: Plan) -> None:
        """Start a plan in a free slot."""
        self._seats[slot] = Seat(plan, self._solo(plan), (self._start(plan), []))

    def advance(self) -> dict[int, EpochReport]:
        """Train every open plan for one epoch."""
        return {slot: self._advance(seat) for slot, seat in sorted(self._seats.items())}

    def weights(self, slot: int) -> Weights:
        """The weights of an open plan, in the order of `model.weights`."""
        seat = self._seats[slot]
        solo = seat.solo
        values = _values(solo.variables) if solo.holder is seat else seat.state[0]
        own = dict(zip(map(id, solo.variables), values, strict=True))
        return [own[id(weight)] for weight in solo.model.weights]

    def close(self, slot: int) -> None:
        """Free the slot."""
        seat = self._seats.pop(slot, None)
        if seat and seat.solo.holder is seat:
            seat.solo.holder = None

    def shutdown(self) -> None:
        """Let models and data go."""
        for kept in (self._seats, self._solos, self._starts, self._rows, self._feeds):
            kept.clear()

    # -------------------------------------------------------------- an epoch

    def _advance(self, seat: Seat) -> EpochReport:
        solo, plan, data = seat.solo, seat.plan, self.problem.folds[seat.plan.fold]
        solo.enter(seat)
        order = batch_order(plan.seed, seat.epoch, len(data.train.y))
        train_loss = solo.train(self._feed(seat)(order), seat.epoch, last=seat.epoch + 1 == plan.epochs)
        seat.epoch += 1
        val_scores, penalty = solo.predict(data.validation.x)
        progress = ops.convert_to_tensor(np.float32(seat.epoch / plan.epochs))
        y = solo.objective.spec.encode(data.validation.y, data.constants)
        val_loss = float(solo.objective.mean(y, val_scores, data.validation.weights, progress)) + penalty
        val_score = self._score(plan, val_scores, data.validation.y)
        one_class = int(predicts_only(self.problem, [plan.candidate], val_scores[None], plan.fold)[0])
        return EpochReport(seat.epoch, train_loss, val_loss, self._train_score(seat, order), val_score, one_class)

    def _train_score(self, seat: Seat, order: np.ndarray) -> float:
        """The metric of the scores seen in training; of those after the epoch where the model tells none."""
        train, seen = self.problem.folds[seat.plan.fold].train, seat.solo.seen.kept()
        if seen is None:
            return self._score(seat.plan, seat.solo.predict(train.x)[0], train.y)
        return self._score(seat.plan, seen, train.y[order[-len(seen) :]])

    def _score(self, plan: Plan, scores: np.ndarray, y: np.ndarray) -> float:
        return float(score_lanes(self.problem, [plan.candidate], scores[None], y, plan.fold)[0])

    # -------------------------------------------------------------- what is kept

    def _solo(self, plan: Plan) -> Solo:
        """The compiled model that serves the plan; of those that are not in use only the latest are kept."""
        problem = self.problem
        key = (static_key(problem, plan), problem.architecture(plan), tuple(optimizers.branch(problem, plan).items()),
               plan.seed if optimizers.keeps_weights(problem) else None)  # fmt: skip
        found = self._solos.pop(key, None) or Solo(problem, plan)
        idle = [other for other, solo in self._solos.items() if solo.holder is None]
        for other in idle[: max(0, len(self._solos) + 1 - SOLOS)]:
            del self._solos[other]
            gc.collect()
        self._solos[key] = found
        return found

    def _start(self, plan: Plan) -> list[np.ndarray]:
        """All variables of a model fresh from the builder, the states of its seed generators included."""
        outputs = self.problem.outputs(plan.candidate)
        key = (plan.seed, outputs, self.problem.architecture(plan))
        if key not in self._starts:
            if len(self._starts) >= STARTS:
                del self._starts[next(iter(self._starts))]
            self._starts[key] = _values(self.problem.build(outputs, plan.seed, plan.architecture).variables)
        return self._starts[key]

    def _feed(self, seat: Seat) -> Any:
        """From a batch order to the arguments of `fit`, for the fold and the labels of a plan."""
        plan, target = seat.plan, seat.solo.objective.spec.target
        key = (plan.fold, target, seat.solo.batch)
        if key not in self._feeds:
            data = self.problem.folds[plan.fold]
            x = self._held((plan.fold, "x"), data.train.x)
            y = self._held((plan.fold, target), seat.solo.objective.spec.encode(data.train.y, data.constants))
            weights = [] if data.train.weights is None else [self._held((plan.fold, WEIGHTS), data.train.weights)]
            self._feeds[key] = interface.feed((x, y, *weights), seat.solo.batch)
        return self._feeds[key]

    def _held(self, key: Any, values: Any) -> Any:
        """These rows, once for all that is fed with them, beside the processor."""
        if key not in self._rows:
            with keras.device("cpu:0"):
                self._rows[key] = keras.tree.map_structure(ops.convert_to_tensor, values)
        return self._rows[key]


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _cut(x: Any, rows: slice) -> Any:
    return keras.tree.map_structure(lambda values: values[rows], x)
