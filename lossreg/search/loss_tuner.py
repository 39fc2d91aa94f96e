"""`LossTuner`: a tuner of KerasTuner whose search is a study, with its losses, in lanes.

KerasTuner and Keras are imported here; `lossreg.keras_tuner.LossTuner` imports this module when it is first used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner

from lossreg.config import changes
from lossreg.config import study as studies
from lossreg.config.fields import safe
from lossreg.contract import activations
from lossreg.contract.data_options import GIVEN
from lossreg.contract.targets import REGRESSION, TASKS
from lossreg.errors import InputError, did_you_mean, is_text, on_disk, one_line, represented, require_path
from lossreg.metrics import catalogue
from lossreg.registry import keras_loss, registry
from lossreg.search import (
    argument_names,
    fit_arguments,
    history,
    preparation,
    restore,
    rows_given,
    run,
    shown,
    suggestions,
    trial_values,
)
from lossreg.search.argument_names import Arguments
from lossreg.search.predictors import load_predictor
from lossreg.search.result import Result
from lossreg.search.resumption import Changes
from lossreg.storage import shared_study
from lossreg.storage.trials import ATTRIBUTE
from lossreg.training import optimizers

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.contract.spec import LossSpec
    from lossreg.metrics.catalogue import Metric
    from lossreg.search.preparation import Prepared
    from lossreg.search.suggestions import Losses
    from lossreg.storage.study_folder import StudyFolder
    from lossreg.storage.study_result import StudyResult
    from lossreg.storage.trial_record import TrialRecord

NOTHING: Mapping[str, Any] = {}
NO_ROWS = ((), ())  # of a study that is only read
# the arguments that stand for keys of a study
KEYS = {
    "search.trials": "max_trials", "search.seeds": "executions_per_trial", "search.seed": "seed",
    "search.metric": "objective", "model.build": "hypermodel", "data.task": "task",
    "losses": "losses", "name": "project_name", "train.epochs": "epochs", "train.batch_size": "batch_size",
    "train.class_weight": "class_weight", "train.early_stopping": "callbacks",
}  # fmt: skip
DEFAULTS = {
    "data": {"source": GIVEN, "task": "auto", "preprocess": "none"},
    "model": {"hp": "search"},
    "search": {"keep": "all", "score_epoch": "best", "confirm": 0},
    "train": {"epochs": 1},
}
# arguments of other tuners, and what stands in their place
ELSEWHERE = {
    "hyperparameters": 'settings={"model": {"hp": {"units": {"choices": [32, 64]}}}} says what is searched.',
    "tune_new_entries": 'settings={"model": {"hp": {"units": "search"}}} searches these alone.',
    "allow_new_entries": "Leave it out.",
    "optimizer": 'settings={"train": {"optimizer": "sgd"}} sets it.',
    "loss": 'losses=["cross_entropy", "focal"] are searched.',
    "metrics": 'objective="val_f1_macro" is the metric.',
    "distribution_strategy": "Several GPUs or machines are workers of a study: docs/workers.md.",
    "max_model_size": "Give choices in build_model that are small enough.",
    "max_retries_per_trial": "Leave it out: trials that were cut off run again when search is called again.",
    "max_consecutive_failed_trials": "Leave it out.",
    "tuner_id": "Leave it out.",
    "logger": "Leave it out.",
}
IN_KERAS = ("accuracy", "mean_absolute_error", "mean_squared_error")
ARGUMENTS = ("losses", "max_trials", "seed", "executions_per_trial", "task", "project_name", "overwrite", "settings")
WAYS = "Take the change back, give another project_name, or start over with overwrite=True."


class LossTuner(keras_tuner.Tuner):
    """A tuner that searches losses and their parameters with the model's hyperparameters, as a study in lanes.

    hypermodel: `build_model(hp)` or a `HyperModel`, as for every tuner; what it compiles with is replaced, and an `hp`
    that only feeds its learning rate is the study's learning rate. losses: names, or a table for each with its ranges,
    by default those recommended for the task, and its baseline in any case; objective: `val_` and a metric, or a
    `keras_tuner.Objective`; task: as in `[data]` of a study; executions_per_trial: seeds that a trial is trained with;
    settings: further sections of the study, such as `{"train": {"optimizer": "sgd"}}`. The study lies in the project's
    folder, and search goes on with it. Raises `InputError`.
    """

    def __init__(
        self,
        hypermodel: Any,
        losses: Losses | None = None,
        objective: Any = "val_accuracy",
        max_trials: int = 20,
        *,
        seed: int | None = None,
        executions_per_trial: int = 1,
        task: str = "auto",
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        settings: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> None:
        for name in others:
            what = "has another place in a study" if name in ELSEWHERE else "is no argument of a LossTuner"
            raise InputError(what, where=name, hint=ELSEWHERE.get(name) or did_you_mean(name, ARGUMENTS))
        if "KERASTUNER_TUNER_ID" in os.environ:
            what = "is set, and a study has workers of its own"
            raise InputError(what, where="KERASTUNER_TUNER_ID", hint="docs/workers.md says how.")
        if not callable(hypermodel) and not isinstance(hypermodel, keras_tuner.HyperModel):
            what = f"must be a function build_model(hp) or a keras_tuner.HyperModel, not {represented(hypermodel)}"
            raise InputError(what, where="hypermodel")
        metric = _metric(objective)
        if not is_text(project_name or ""):
            raise InputError(f"must be a text, not {represented(project_name)}", where="project_name")
        folder = require_path(directory or ".", "directory") / (project_name or "untitled_project")
        asked = {
            "name": safe(project_name or "untitled_project") or "untitled", "losses": losses,
            "data.task": None if task == "auto" else task, "model.build": hypermodel,
            "search.trials": max_trials, "search.metric": metric.name, "search.seed": seed or 0,
            "search.seeds": executions_per_trial,
        }  # fmt: skip
        self._document = _merged(DEFAULTS, rows_given.document(asked, KEYS, rows_given.untested(settings)))
        self._settings, self._names = settings, Arguments(KEYS, settings, "x, y", argument_names.names_in(settings))
        with self._names.named():
            _check_losses(studies.from_dict(self._document))
        self._metric = metric.name
        self._rows: StudySpec | None = None
        direction = "max" if metric.direction == "maximize" else "min"
        with on_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            _StudyOracle(keras_tuner.Objective(f"val_{metric.name}", direction), max_trials, seed), hypermodel,
            directory=directory and str(directory), project_name=project_name, overwrite=overwrite,
            executions_per_trial=executions_per_trial,
        )  # fmt: skip
        self.oracle.first = self._first

    def search(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: Any = "auto",
        callbacks: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        **others: Any,
    ) -> None:
        """Run the study, or go on with it; arguments as of Keras's `fit`.

        x, y: arrays, or a dictionary of inputs by name, or a finite `tf.data.Dataset` of both. Without validation rows
        a fifth of the rows is cut off at random. epochs: 1, or those in settings. callbacks: `EarlyStopping` on the
        objective. Raises `InputError` for arguments that a study has no place for.
        """
        fit_arguments.check(others)
        rows = fit_arguments.rows(x, y, sample_weight, validation_data, validation_split)
        train = fit_arguments.train(epochs, batch_size, callbacks, class_weight, self.oracle.objective)
        given = {key: argument for key, argument in KEYS.items() if key.removeprefix("train.") in train}
        if isinstance(rows, dict):
            given["data.validation"] = "validation_split" if validation_data is None else "validation_data"
        _check_once(self._settings, given)
        user_names = (*argument_names.columns_of(x), *argument_names.names_in(self._settings))
        self._names = Arguments(KEYS, self._settings, "x, y", user_names)
        with changes.with_ways(WAYS), self._names.named():
            suggestions.labels_of(fit_arguments.labels(rows), self._document["data"]["task"])
            self._rows = self._spec(rows, {"train": train})
            self.__dict__.pop("_prepared", None)
            try:
                with shown.shown(False if verbose == 0 else None, "LossTuner: reading the study") as progress:
                    result = self._names.result(run.kept_in(self._folder, self._rows, self._names.observer(progress)))
            except KeyboardInterrupt:
                with suppress(InputError):  # where nothing was written
                    self._tell(self.result)
                raise
        self._tell(result)

    @property
    def result(self) -> Result:
        """The study as far as it has come, with its tables and plots; raises `InputError` if it was never run."""
        folder = self._folder
        try:
            return self._names.result(Result.of(history.result(folder.read(), folder.path)))
        except InputError as error:
            hint = error.hint.replace("Run `lossreg.tune`", "Call search")
            raise InputError(error.what, where=error.where, hint=hint) from error

    def reload(self) -> None:
        """Read the project as it was left; raises `InputError` for one of another tuner, or that is damaged."""
        try:
            super().reload()
        except InputError:
            raise
        except Exception as error:
            what = f"the project cannot be read: {one_line(error)}"
            hint = f"Remove {self._get_tuner_fname()}: search then reads the study. Or start over with overwrite=True."
            raise InputError(what, where=self.project_dir, hint=hint) from error

    def load_model(self, trial: Any) -> Any:
        """Return the model of a trial, which takes the rows that search was given, compiled with its loss.

        Without a search in this process that is the study's best trial alone. Raises `InputError`.
        """
        if (ways := self._spec(NO_ROWS).data.preprocess) != "none":
            what = f"the models take preprocessed rows: settings has data.preprocess = {represented(ways)}"
            hint = "tuner.result.predictor takes your rows; leave the key out, and models take rows as search does."
            raise InputError(what, where="get_best_models", hint=hint)
        result = self.result
        number = self.oracle.numbers[int(trial.trial_id)]
        record = next(record for record in result.trials if record.number == number)
        entry = registry.default().look_up(record.loss)
        spec, model = entry.spec if entry else None, None
        if self._rows is None:
            model = self._kept(record)
        else:
            weights = self._weights(record)
            spec = self._prepared.candidates[record.candidate].spec
            model = restore.build(self._prepared, record, weights)
        if result.task == "binary" and _width(self.hypermodel.build(trial.hyperparameters), model) == 2:
            model = _of_both_classes(model, is_probability=model.output_names[0] == "probability")
        return self._compiled(model, record, result, spec)

    def _weights(self, record: TrialRecord) -> Any:
        """Return the weights of a trial of the study; raises `InputError` where they were not kept."""
        assert self._rows is not None
        try:
            return restore.look_up(self._rows, record.number, folder=self._folder).weights
        except InputError as error:
            hint = 'settings={"search": {"keep": "all"}} keeps those of all trials.' if error.hint else ""
            raise InputError(error.what, where="get_best_models", hint=hint) from error

    @cached_property
    def _prepared(self) -> Prepared:
        """The study with everything resolved that training needs."""
        spec = self._rows
        assert spec is not None
        stored = self._folder.read().user_attrs[ATTRIBUTE]
        return preparation.prepare(spec, Changes(spec, stored), rehearsed=False)

    def _spec(self, rows: Any, sections: Mapping[str, Any] = NOTHING) -> StudySpec:
        """Return the study of these rows."""
        return studies.of(_merged(self._document, sections), (), rows)

    @property
    def _folder(self) -> StudyFolder:
        """The folder of the study, in that of the project."""
        spec = self._spec(NO_ROWS)
        return shared_study.of(spec, Path(self.project_dir) / ".lossreg" / spec.name)

    def _tell(self, result: Result) -> None:
        """Tell the oracle of the trials that it does not know."""
        records = [record for record in _in_order(result) if record.number not in self.oracle.numbers]
        self.oracle.verbose, self.oracle.max_trials = 0, max(self.oracle.max_trials, len(result.trials))
        for record in records:
            hp = trial_values.of(self._prepared, record, self.oracle.get_space())
            self.oracle.update_space(hp)
            self.oracle.tell(self.tuner_id, record, hp.values)
        self.save()

    def _first(self) -> int:
        """Return the position of the study's best trial among those told; of equal ones, the baseline's."""
        best, numbers = self.result.best, self.oracle.numbers
        return numbers.index(best.number) if best and best.number in numbers else 0

    def _kept(self, record: TrialRecord) -> Any:
        """Return the model of the study's best trial from its folder; raises `InputError` for another one."""
        predictor = load_predictor(self._folder.path)
        if predictor.about.trial != record.number:
            what = f"the model of trial {record.number} takes the rows, which are not kept"
            hint = "Call search again with the same arguments, which trains no trial again, or ask for one model."
            raise InputError(what, where="get_best_models", hint=hint)
        return predictor.model

    def _compiled(self, model: Any, record: TrialRecord, result: StudyResult, spec: LossSpec | None) -> Any:
        """Return the model compiled with optimizer, loss and metric of its trial."""
        optimizer = self._spec(NO_ROWS).train.optimizer
        searched = {
            key.partition(".")[2]: value for key, value in record.params.items() if key.startswith("optimizer.")
        }
        model.compile(
            optimizers.build(optimizer.name, record.learning_rate, {**optimizer.settings, **searched}),
            _loss(record, result, spec, model.output_shape[-1]) if spec else None,
            metrics=[name for name in IN_KERAS if name == self._metric.removeprefix("neg_")],
        )
        return model


class _StudyOracle(keras_tuner.Oracle):
    """An oracle that is told of trials that have ended, in place of proposing them."""

    def __init__(self, objective: Any, max_trials: int, seed: int | None) -> None:
        # no number of failures in a row equals -1, at which an oracle gives up
        super().__init__(objective=objective, max_trials=max_trials, seed=seed, max_consecutive_failed_trials=-1)
        self._next: dict[str, Any] = {}
        self.numbers: list[int] = []  # of the trials in the study
        self.first: Callable[[], int] = lambda: 0

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Return the best trials; of those that share the best score the study's best comes first."""
        trials: list[Any] = super().get_best_trials(len(self.trials))
        first = self.first() if trials else 0
        best = [trial for trial in trials if int(trial.trial_id) == first and trial.score == trials[0].score]
        return [*best, *(trial for trial in trials if trial not in best)][:num_trials]

    def get_state(self) -> dict[str, Any]:
        """Return what is kept in the project."""
        return {**super().get_state(), "numbers": self.numbers}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take what was kept; raises `InputError` for what another tuner has kept."""
        if "numbers" not in state:
            what = f"{self._project_dir} has the search of another tuner"
            raise InputError(what, where="project_name", hint="Give another name, or start over with overwrite=True.")
        super().set_state(state)
        self.numbers = state["numbers"]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of the trial that is told of."""
        return {"status": "RUNNING", "values": self._next}

    def tell(self, tuner_id: str, record: TrialRecord, values: dict[str, Any]) -> None:
        """Add a trial that has ended."""
        self._next = values
        self.numbers.append(record.number)
        trial = self.create_trial(tuner_id)
        score = record.finite_score
        trial.status, trial.message = ("FAILED", record.reason) if score is None else ("COMPLETED", None)
        if score is not None:
            self.update_trial(trial.trial_id, {self.objective.name: score}, step=record.epoch)
        self.end_trial(trial)


def _metric(objective: Any) -> Metric:
    """Return the metric that an objective of KerasTuner names; raises `InputError`."""
    name = getattr(objective, "name", objective)
    if not isinstance(name, str) or not name:
        what = f"must be a metric of the validation rows, not {represented(objective)}"
        raise InputError(what, where="objective", hint='Such as "val_accuracy"; several objectives are not searched.')
    plain = name.removeprefix("val_")
    metric = _resolved(name)
    if plain == name:
        what = f"{name!r} would be that of the training rows, and trials are scored on validation rows"
        raise InputError(what, where="objective", hint=f'Write "val_{name}".')
    direction = getattr(objective, "direction", "")
    if direction and not metric.direction.startswith(direction):
        what = f"{metric.name} is to be {metric.direction}d, and the objective has direction {direction!r}"
        raise InputError(what, where="objective")
    return metric


def _resolved(name: str) -> Metric:
    """Return a metric of any task; raises `InputError`."""
    errors = []
    for task in TASKS:
        try:
            return catalogue.resolve(name, task)
        except InputError as error:
            errors.append(error)
    raise errors[0].at("objective")


def _check_once(settings: Any, given: Mapping[str, str]) -> None:
    """Raise `InputError` for keys that settings have too; given: the arguments that stand for them."""
    for key, argument in given.items():
        if argument_names.has(settings, key):
            raise rows_given.twice(key, argument)


def _check_losses(spec: StudySpec) -> None:
    """Raise `InputError` for a loss that is not registered, before any model is built."""
    for name, table in spec.losses.items():
        if table.function is None:
            registry.default().get(table.loss or name)


def _width(built: Any, model: Any) -> int:
    """Return the number of outputs of a model for the inputs of another one."""
    inputs = keras.tree.map_structure(lambda entry: keras.Input(entry.shape[1:], dtype=entry.dtype), model.input)
    return int(built(inputs).shape[-1])


def _of_both_classes(model: Any, *, is_probability: bool) -> Any:
    """Return a model of one output for class 1 with an output for each of both classes."""
    if model.output_shape[-1] != 1:
        return model
    one = model.outputs[0]
    both = [1 - one, one] if is_probability else [-one / 2, one / 2]
    return keras.Model(model.input, keras.layers.Concatenate()(both))


def _in_order(result: StudyResult) -> list[TrialRecord]:
    return sorted(result.trials, key=lambda record: record.number)


def _loss(record: TrialRecord, result: StudyResult, spec: LossSpec, outputs: int) -> Any:
    """Return the loss of a trial for predictions; None where these are not all that it takes."""
    is_value = result.task in REGRESSION
    activation = activations.get(spec.activation)
    if (is_value and spec.outputs != "1") or (spec.probabilistic and activation.inverse is None):
        return None
    if result.task == "binary" and outputs == 2 and spec.target != "onehot":
        return None
    is_score = not is_value and not spec.probabilistic
    return keras_loss.get(spec, from_logits=is_score, **record.loss_params, **record.constants)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections of a study, the keys of the second in place of those of the first."""
    merged = {**first, **second}
    for name in first.keys() & second.keys():
        if isinstance(first[name], Mapping) and isinstance(second[name], Mapping):
            merged[name] = {**first[name], **second[name]}
    return merged
