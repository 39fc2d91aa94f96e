"""`Fit`: one plan at a time through `model.fit`, for whatever the population refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lossreg.trainers import optimizers
from lossreg.trainers.arguments import Key, loss_arguments, static_arguments, static_key
from lossreg.trainers.base import EpochReport, Plan, Problem, Weights, batch_order
from lossreg.trainers.scoring import score_lanes

ROWS = 1024  # scored at once after an epoch


class Seen(keras.metrics.Metric):
    """Keeps the raw scores of an epoch's training rows, in the order in which they came."""

    def __init__(self, rows: int, shape: tuple[int, ...]) -> None:
        super().__init__(name="seen")
        self.scores = self.add_weight(shape=(rows, *shape), initializer="zeros", name="scores")
        self.count = self.add_weight(shape=(), initializer="zeros", dtype="int32", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Append the `(batch, *space, outputs)` scores of a batch."""
        rows = self.count + keras.ops.arange(keras.ops.shape(y_pred)[0])
        seen = keras.ops.scatter_update(self.scores.value, rows[:, None], keras.ops.cast(y_pred, "float32"))
        self.scores.assign(seen)
        self.count.assign(self.count + keras.ops.shape(y_pred)[0])

    def result(self) -> Any:
        """The number of rows seen."""
        return self.count


class Solo:
    """A compiled model for one loss; its parameters are variables, so that plans share the graph."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        data, self.problem = problem.dataset, problem
        self.spec = problem.losses[plan.label]
        self.model = problem.builder.build(data.input_shape, problem.outputs(plan.label), data.n_classes, plan.seed)
        self.variables = list(self.model.variables)
        self.optimizer = optimizers.build(problem.optimizer, plan.learning_rate, problem.settings)
        self.static = static_arguments(self.spec, plan.params, data.n_classes)
        values = loss_arguments(self.spec, plan.params, data.constants)
        self.arguments = {name: keras.Variable(value, trainable=False) for name, value in values.items()}
        self.progress = keras.Variable(0.0, trainable=False)
        rows, shape = len(data.train.y), tuple(self.model.outputs[0].shape[1:])
        self.seen = Seen(rows, shape)
        self.model.compile(self.optimizer, loss=self.loss, metrics=[self.seen], jit_compile=False)
        self.optimizer.build(self.model.trainable_variables)
        self.fresh = [keras.ops.convert_to_numpy(variable) for variable in self.optimizer.variables]
        self.labels = {k: self.spec.encode(getattr(data, k).y, data.constants) for k in ("train", "validation")}

    def loss(self, y: Any, scores: Any) -> Any:
        """`(batch,)` losses of the current plan."""
        late = {"progress": self.progress} if "progress" in self.spec.needs else {}
        arguments = {**self.static, **self.arguments, **late}
        return self.spec.values(y, scores, self.problem.dataset.n_classes, arguments)

    def reset(self, plan: Plan, initial: Sequence[np.ndarray]) -> None:
        """Start this plan from these values of the model's variables with fresh optimizer state."""
        for variable, value in zip(self.variables, initial, strict=True):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = plan.learning_rate
        for name, value in loss_arguments(self.spec, plan.params, self.problem.dataset.constants).items():
            self.arguments[name].assign(value)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """Raw scores `(rows, *space, outputs)` and the penalty of regularisers, the rows' mean over batches."""
        parts = [self._predict(x[start : start + ROWS]) for start in range(0, len(x), ROWS)]
        penalty = sum(len(scores) * penalty for scores, penalty in parts) / len(x)
        return np.concatenate([scores for scores, _ in parts]), penalty

    def _predict(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        # stateless: `model.losses` would hold the tensors of the graph that last trained
        model = self.model
        values = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]
        scores, _, penalties = model.stateless_call(
            *values, keras.ops.convert_to_tensor(x), training=False, return_losses=True
        )
        return keras.ops.convert_to_numpy(scores), float(sum(penalties))


class Fit:
    """One slot; the same batches and the same reports as a lane of the population."""

    name = "fit"
    slots = 1

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._solos: dict[Key, Solo] = {}
        self._initials: dict[tuple[int, int], list[np.ndarray]] = {}
        self._solo: Solo | None = None
        self._plan: Plan | None = None
        self._epoch = 0

    def refuses(self, label: str) -> str:
        """Nothing is refused."""
        return ""

    def prepare(self) -> None:
        """Nothing is built before a plan says for what."""

    def open(self, slot: int, plan: Plan) -> None:
        """Start a plan; `slot` is 0."""
        key = static_key(self.problem, plan)
        self._solo = self._solos.get(key) or self._solos.setdefault(key, Solo(self.problem, plan))
        self._solo.reset(plan, self._initial(plan))
        self._plan, self._epoch = plan, 0

    def advance(self) -> dict[int, EpochReport]:
        """Train the open plan, if any, for one epoch."""
        if self._plan is None or self._solo is None:
            return {}
        train_loss = self._train(self._solo, self._plan)
        self._epoch += 1
        return {0: self._report(self._solo, self._plan, train_loss)}

    def weights(self, slot: int) -> Weights:
        """The weights of the open plan, in the order of `model.weights`."""
        assert self._solo
        return [keras.ops.convert_to_numpy(weight) for weight in self._solo.model.weights]

    def close(self, slot: int) -> None:
        """Free the slot."""
        self._plan = self._solo = None

    def shutdown(self) -> None:
        """Nothing to end."""

    def _initial(self, plan: Plan) -> list[np.ndarray]:
        """All variables of a model fresh from the builder, the states of its seed generators included."""
        key = (plan.seed, self.problem.outputs(plan.label))
        if key not in self._initials:
            data = self.problem.dataset
            model = self.problem.builder.build(data.input_shape, key[1], data.n_classes, plan.seed)
            self._initials[key] = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
        return self._initials[key]

    def _train(self, solo: Solo, plan: Plan) -> float:
        """Train for one epoch; its mean loss."""
        data = self.problem.dataset.train
        order = batch_order(plan.seed, self._epoch, len(data.y))
        steps = -(-len(order) // self.problem.batch_size)
        tell = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs: solo.progress.assign((self._epoch + batch / steps) / plan.epochs)
        )
        history = solo.model.fit(
            data.x[order], solo.labels["train"][order], batch_size=self.problem.batch_size, shuffle=False, verbose=0,
            callbacks=[tell] if "progress" in solo.spec.needs else [],
        )  # fmt: skip
        return float(history.history["loss"][-1])

    def _report(self, solo: Solo, plan: Plan, train_loss: float) -> EpochReport:
        data, label = self.problem.dataset, plan.label
        order = batch_order(plan.seed, self._epoch - 1, len(data.train.y))
        seen = keras.ops.convert_to_numpy(solo.seen.scores)
        val_scores, penalty = solo.predict(data.validation.x)
        solo.progress.assign(self._epoch / plan.epochs)
        val_loss = float(np.mean(solo.loss(solo.labels["validation"], val_scores)))
        return EpochReport(
            self._epoch,
            train_loss,
            val_loss + penalty,
            float(score_lanes(self.problem, [label], seen[None], data.train.y[order])[0]),
            float(score_lanes(self.problem, [label], val_scores[None], data.validation.y)[0]),
        )
