"""`Fit`: plans trained one after the other through `model.fit`, for whatever a population refuses."""

from __future__ import annotations

import gc
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from lossreg.models.raw_scores import overridden_steps
from lossreg.storage.trial_record import Weights
from lossreg.training import optimizers, own_callbacks
from lossreg.training.backends import interface
from lossreg.training.interface import EpochReport, Plan, Problem, batch_order
from lossreg.training.lane_graph import KEPT, WEIGHTS
from lossreg.training.loss_arguments import loss_arguments, static_arguments, static_key
from lossreg.training.own_callbacks import Hooks
from lossreg.training.scoring import of_validation, score_lanes

SAMPLES = 1024  # predicted at once after an epoch
SOLOS, STARTS = 8, 32  # compiled models, and sets of initial values, that are kept


class KeptRawScores(keras.metrics.Metric):
    """Keeps the raw scores of an epoch's last training samples, in the order in which they are trained on.

    It has the variables of the loss too, since a backend's graph knows only those of the model, of the optimizer
    and of metrics. samples: per epoch; batch: samples per step; shape: of one sample's raw scores; stands_for: the
    study's metric, whose name and direction callbacks look up in the model.
    """

    def __init__(self, samples: int, batch: int, shape: tuple[int, ...], stands_for: Any = None) -> None:
        super().__init__(name=stands_for.name if stands_for else "seen")
        # what Keras's own metrics have, by which callbacks that monitor one know the better end
        self._direction = "up" if stands_for and stands_for.direction == "maximize" else "down"
        # whole batches at the start are left out where all raw scores would be more than KEPT numbers
        self.samples, self.silent = samples, batch * max(0, samples // batch - KEPT // (batch * math.prod(shape)) - 1)
        self.raw_scores = self.add_variable((samples - self.silent + 1, *shape), "zeros", name="scores")
        self.count = self.add_variable((), "zeros", dtype="int32", name="count")
        self.step = self.add_variable((), "zeros", dtype="int32", name="step")
        self.steps = self.add_variable((), "ones", name="steps")
        self.arguments: dict[str, Any] = {}
        self.is_cut = False

    def set(self, arguments: Mapping[str, np.ndarray], steps: int) -> None:
        """Set the arguments of the loss and the number of steps of the training."""
        for name, value in arguments.items():
            if name not in self.arguments:
                self.arguments[name] = self.add_variable(value.shape, "zeros", name=name)
            self.arguments[name].assign(value)
        self.steps.assign(steps)

    def reset_state(self) -> None:
        """Begin an epoch, or within one what a callback evaluates."""
        self.is_cut |= bool(ops.convert_to_numpy(self.count) > 0)
        self.count.assign(0)

    def begin(self, step: int) -> None:
        """Begin the epoch that follows after so many steps of the training."""
        self.step.assign(step)
        self.count.assign(0)
        self.is_cut = False

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Append the `(batch, *spatial_shape, outputs)` raw scores of a batch."""
        number = ops.shape(y_pred)[0]
        positions = self.count + ops.arange(number, dtype="int32") - self.silent
        # those that are not kept are written behind the last
        rest = self.samples - self.silent
        positions = ops.where(positions < 0, rest, positions) if self.silent else positions
        # a callback may evaluate other samples
        positions = ops.minimum(positions, rest)
        raw_scores = ops.cast(y_pred, "float32")
        self.raw_scores.assign(ops.scatter_update(self.raw_scores.value, positions[:, None], raw_scores))
        self.count.assign(self.count + number)

    def result(self) -> Any:
        """Return the number of samples seen."""
        return ops.convert_to_tensor(self.count)

    def kept(self) -> tuple[np.ndarray, slice] | None:
        """Return raw scores `(samples, *spatial_shape, outputs)`, and whose they are by position in the epoch.

        None if the model's own training step hides them, or a callback evaluated others in the epoch. A callback may
        have ended the epoch before its last sample.
        """
        count = int(ops.convert_to_numpy(self.count))
        if self.is_cut or not self.silent < count <= self.samples:
            return None
        raw_scores = np.asarray(ops.convert_to_numpy(self.raw_scores))
        return raw_scores[: count - self.silent], slice(self.silent, count)


class Objective(keras.losses.Loss):
    """The mean loss of a batch as in lanes: samples are weighted, and masks of the model are not used."""

    def __init__(self, problem: Problem, plan: Plan, seen: KeptRawScores) -> None:
        super().__init__(name="loss")
        self.spec, self.n_classes, self.seen = problem.losses[plan.candidate], problem.dataset.n_classes, seen
        self.static = static_arguments(self.spec, plan.params, self.n_classes)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of a step of training, and count the step."""
        progress = ops.cast(self.seen.step, "float32") / self.seen.steps
        if "progress" in self.spec.needs:
            self.seen.step.assign(self.seen.step + 1)
        return self.mean(y_true, y_pred, sample_weight, progress)

    def mean(self, y: Any, raw_scores: Any, weights: Any, progress: Any) -> Any:
        """Return the mean loss of samples; progress: the share of the training that is done."""
        needs, arguments = self.spec.needs, {**self.static, **self.seen.arguments}
        if "progress" in needs:
            arguments["progress"] = progress
        if WEIGHTS in needs:
            arguments[WEIGHTS] = ops.ones(ops.shape(raw_scores)[:1]) if weights is None else weights
        # a model may end in another precision
        values = self.spec.values(y, ops.cast(raw_scores, "float32"), self.n_classes, arguments)
        return ops.mean(values if weights is None or WEIGHTS in needs else weights * values)


class Solo:
    """A compiled model with its optimizer, in which plans that differ only in numbers are trained in turn.

    callbacks: those of the user's own; where one is called after every batch, each batch is a call of its own.
    """

    def __init__(self, problem: Problem, plan: Plan, callbacks: Sequence[Any] | None = None) -> None:
        self.problem, samples = problem, len(problem.folds[plan.fold].train.y)
        self.batch = min(problem.architecture(plan).batch_size, samples)
        self.steps = -(-samples // self.batch)
        self.model = problem.build(problem.outputs(plan.candidate), plan.seed, plan.architecture)
        self.variables = list(self.model.variables)
        stands_for = None if callbacks is None else problem.metric
        self.seen = KeptRawScores(samples, self.batch, tuple(self.model.outputs[0].shape[1:]), stands_for)
        self.objective = Objective(problem, plan, self.seen)
        # a training step of the user may not update metrics, for which `fit` would raise
        metrics = None if "train_step" in overridden_steps(type(self.model)) else [self.seen]
        self.reused = optimizers.solo(problem, plan)
        together = interface.compilation(1 if own_callbacks.wants_batches(callbacks or ()) else self.steps)
        self.model.compile(self.reused, self.objective, metrics=metrics, **together)
        self.optimizer = self.model.optimizer
        self.optimizer.build(self.model.trainable_variables)
        self.fresh = _values(self.optimizer.variables)
        self.holder: Training | None = None
        self._penalised = True

    def enter(self, training: Training) -> None:
        """Go on with this training, after saving the state of the one before it."""
        if self.holder is training:
            return
        if self.holder:
            self.holder.state = _values(self.variables), _values(self.optimizer.variables)
        self.holder, plan, (weights, slots) = training, training.plan, training.state
        _assign(self.variables, weights)
        _assign(self.optimizer.variables, slots or self.fresh)
        if not slots:
            self.reused.start(plan, self.steps * plan.epochs)
        data = self.problem.folds[plan.fold]
        self.seen.set(loss_arguments(self.objective.spec, plan.params, data.constants), self.steps * plan.epochs)

    def train(self, batches: Mapping[str, Any], epoch: int, *, last: bool, hooks: Hooks | None = None) -> float:
        """Train an epoch (counted from 0) on these arguments of `fit`; return its mean loss."""
        self.seen.begin(epoch * self.steps)
        self.reused.ends = last
        if hooks and hooks.relay.stopped:  # `fit` ends after a batch
            self.model.steps_per_execution = 1
            self.model.make_train_function(force=True)
        logs = self.model.fit(**batches, verbose=0, callbacks=[hooks.relay] if hooks else None).history
        return float(logs.get("loss", next(iter(logs.values())))[-1])

    def end(self) -> None:
        """End a training early: put averaged weights in place, as `fit` does at its end."""
        self.reused.ends = True
        self.optimizer.finalize_variable_values(self.model.trainable_variables)

    def predict(self, x: Any) -> tuple[np.ndarray, float]:
        """Return raw scores `(samples, *spatial_shape, outputs)` and the mean penalty of regularisers."""
        number = len(keras.tree.flatten(x)[0])
        parts = [self._predict(batch) for batch in batches(x)]
        penalty = sum(len(raw_scores) * penalty for raw_scores, penalty in parts) / number
        return np.concatenate([raw_scores for raw_scores, _ in parts]), penalty

    def _predict(self, x: Any) -> tuple[np.ndarray, float]:
        model = self.model
        if not self._penalised:
            return np.asarray(model.predict_on_batch(x)), 0.0
        # stateless: `model.losses` would hold the tensors of the graph that last trained
        values = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]
        x = keras.tree.map_structure(ops.convert_to_tensor, x)
        raw_scores, _, penalties = model.stateless_call(*values, x, training=False, return_losses=True)
        usual = type(model).predict_step is keras.Model.predict_step
        self._penalised = bool(penalties) or not usual
        return np.asarray(ops.convert_to_numpy(raw_scores)), float(sum(penalties))


@dataclass(slots=True, eq=False)
class Training:
    """A plan in a slot, its epochs done, and while another has its turn its weights and the optimizer's variables.

    hooks: the user's callbacks, if there are any; last: the report of the epoch in which one ended the training.
    """

    plan: Plan
    solo: Solo
    state: tuple[list[np.ndarray], list[np.ndarray]]
    epoch: int = 0
    hooks: Hooks | None = None
    last: EpochReport | None = None


class Fit:
    """Trains the members of a trial in turn, with the same batches and reports as lanes of a population."""

    name = "fit"

    def __init__(self, problem: Problem, slots: int = 1) -> None:
        self.problem, self.slots = problem, slots
        self._trainings: dict[int, Training] = {}
        self._solos: dict[Any, Solo] = {}
        self._starts: dict[Any, list[np.ndarray]] = {}
        self._samples: dict[Any, Any] = {}
        self._feeds: dict[Any, Any] = {}

    def refuses(self, candidate: str) -> str:
        """Return "": `model.fit` trains every loss."""
        return ""

    def prepare(self) -> None:
        """Do nothing: a model is built for a plan."""

    def open(self, slot: int, plan: Plan) -> None:
        """Start a plan in a free slot."""
        maker = self.problem.callbacks
        if maker is None:
            self._trainings[slot] = Training(plan, self._solo(plan), (self._start(plan), []))
            return
        # a callback may change whatever it likes of a model, so that no other plan is trained in it
        callbacks = maker.new()
        solo = Solo(self.problem, plan, callbacks)
        hooks = Hooks(maker, callbacks, solo.model, epochs=plan.epochs, steps=solo.steps, hidden=solo.seen.name)
        self._trainings[slot] = Training(plan, solo, (self._start(plan), []), hooks=hooks)

    def advance(self) -> dict[int, EpochReport]:
        """Train every open plan for one epoch."""
        return {slot: self._advance(training) for slot, training in sorted(self._trainings.items())}

    def weights(self, slot: int) -> Weights:
        """Return the weights of an open plan, in the order of `model.weights`."""
        training = self._trainings[slot]
        solo = training.solo
        values = _values(solo.variables) if solo.holder is training else training.state[0]
        by_id = dict(zip(map(id, solo.variables), values, strict=True))
        return [by_id[id(weight)] for weight in solo.model.weights]

    def close(self, slot: int) -> None:
        """Free the slot."""
        training = self._trainings.pop(slot, None)
        if training and training.solo.holder is training:
            training.solo.holder = None
        if training and training.hooks:
            training.hooks.leave()
            del training
            gc.collect()

    def shutdown(self) -> None:
        """Free models and data."""
        for kept in (self._trainings, self._solos, self._starts, self._samples, self._feeds):
            kept.clear()

    # -------------------------------------------------------------- an epoch

    def _advance(self, training: Training) -> EpochReport:
        solo, plan, hooks, epoch = training.solo, training.plan, training.hooks, training.epoch
        training.epoch += 1
        if training.last:  # while other members of the trial go on
            return replace(training.last, epoch=training.epoch)
        solo.enter(training)
        if hooks:
            hooks.begin_epoch(epoch)
        order = batch_order(plan.seed, epoch, len(self.problem.folds[plan.fold].train.y))
        last = training.epoch == plan.epochs
        train_loss = solo.train(self._feed(training)(order), epoch, last=last, hooks=hooks)
        report = self._report(training, train_loss, self._train_score(training, order))
        return self._called_back(training, hooks, report) if hooks else report

    def _called_back(self, training: Training, hooks: Hooks, report: EpochReport) -> EpochReport:
        """Return the report of an epoch after its callbacks, which may end the training or set other weights."""
        solo, metric, before = training.solo, self.problem.metric.name, _values(training.solo.variables)
        logs = {"loss": report.train_loss, metric: report.train_score, "val_loss": report.val_loss}
        stopped = hooks.end_epoch(report.epoch - 1, {**logs, f"val_{metric}": report.val_score})
        if stopped and report.epoch < training.plan.epochs:
            solo.end()
        if stopped or report.epoch == training.plan.epochs:
            hooks.end()
        if not all(map(np.array_equal, before, _values(solo.variables))):
            report = self._report(training, report.train_loss, report.train_score)
        if not stopped:
            return report
        training.last = replace(report, stopped=True)
        return training.last

    def _report(self, training: Training, train_loss: float, train_score: float) -> EpochReport:
        """Return the report of the epoch that was trained last, for the weights as they are now."""
        solo, plan, data = training.solo, training.plan, self.problem.folds[training.plan.fold]
        val_raw_scores, penalty = solo.predict(data.validation.x)
        progress = ops.convert_to_tensor(np.float32(training.epoch / plan.epochs))
        y = solo.objective.spec.encode(data.validation.y, data.constants)
        val_loss = float(solo.objective.mean(y, val_raw_scores, data.validation.weights, progress)) + penalty
        (scored,) = of_validation(self.problem, [plan.candidate], val_raw_scores[None], plan.fold)
        return EpochReport(training.epoch, train_loss, val_loss, train_score, *scored)

    def _train_score(self, training: Training, order: np.ndarray) -> float:
        """Return the metric of the predictions in training; of those after the epoch where the model hides them."""
        train, seen = self.problem.folds[training.plan.fold].train, training.solo.seen.kept()
        if seen is None:
            return self._score(training.plan, training.solo.predict(train.x)[0], train.scored)
        raw_scores, positions = seen
        return self._score(training.plan, raw_scores, train.scored[order[positions]])

    def _score(self, plan: Plan, raw_scores: np.ndarray, y: np.ndarray) -> float:
        return float(score_lanes(self.problem, [plan.candidate], raw_scores[None], y, plan.fold)[0])

    # -------------------------------------------------------------- what is kept

    def _solo(self, plan: Plan) -> Solo:
        """Return the compiled model for the plan; of those that are not in use only the latest are kept."""
        problem = self.problem
        key = (static_key(problem, plan), problem.architecture(plan), tuple(optimizers.branch(problem, plan).items()),
               plan.seed if optimizers.keeps_weights(problem) else None)  # fmt: skip
        chosen = self._solos.pop(key, None) or Solo(problem, plan)
        idle = [other for other, solo in self._solos.items() if solo.holder is None]
        for other in idle[: max(0, len(self._solos) + 1 - SOLOS)]:
            del self._solos[other]
            gc.collect()
        self._solos[key] = chosen
        return chosen

    def _start(self, plan: Plan) -> list[np.ndarray]:
        """Return all variables of a fresh model, the states of its seed generators included."""
        outputs = self.problem.outputs(plan.candidate)
        key = (plan.seed, outputs, self.problem.architecture(plan))
        if key not in self._starts:
            if len(self._starts) >= STARTS:
                del self._starts[next(iter(self._starts))]
            self._starts[key] = _values(self.problem.build(outputs, plan.seed, plan.architecture).variables)
        return self._starts[key]

    def _feed(self, training: Training) -> Any:
        """Return the function from a batch order to the arguments of `fit`, for the fold and the labels of a plan."""
        plan, target = training.plan, training.solo.objective.spec.target
        key = (plan.fold, target, training.solo.batch)
        if key not in self._feeds:
            data = self.problem.folds[plan.fold]
            x = self._held((plan.fold, "x"), data.train.x)
            y = self._held((plan.fold, target), training.solo.objective.spec.encode(data.train.y, data.constants))
            weights = [] if data.train.weights is None else [self._held((plan.fold, WEIGHTS), data.train.weights)]
            self._feeds[key] = interface.feed((x, y, *weights), training.solo.batch)
        return self._feeds[key]

    def _held(self, key: Any, values: Any) -> Any:
        """Return these samples in the memory of the processor, where they are once."""
        if key not in self._samples:
            with keras.device("cpu:0"):
                self._samples[key] = keras.tree.map_structure(ops.convert_to_tensor, values)
        return self._samples[key]


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def batches(x: Any) -> Iterator[Any]:
    """Yield the samples, an array or several by name, in parts of at most `SAMPLES`."""
    for start in range(0, len(keras.tree.flatten(x)[0]), SAMPLES):
        yield keras.tree.map_structure(operator.itemgetter(slice(start, start + SAMPLES)), x)
