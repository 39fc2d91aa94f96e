"""The sections of a study file, one class each, with their keys and defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from lossreg.config import optimization
from lossreg.config.fields import (
    SEARCHED,
    ActivationName,
    Build,
    CallbackMaker,
    ClassWeight,
    Columns,
    Count,
    Encoding,
    Filters,
    Function,
    Hyperparameters,
    ImageChannels,
    ImageSize,
    KernelSize,
    Kinds,
    Lanes,
    MetricName,
    NaValues,
    OuterFolds,
    Outputs,
    Parameter,
    Positive,
    Preprocessing,
    Registered,
    Sampler,
    Seeds,
    Share,
    ShareOrNone,
    StartFile,
    StorageUrl,
    TargetName,
    Text,
    Texts,
    TrackingUri,
    Widths,
    reference,
)
from lossreg.config.optimization import OPTIMIZERS, RATES, USUAL_RATES
from lossreg.config.search_space import Fixed, Space, parse, shown
from lossreg.contract.data_options import Options
from lossreg.contract.former_names import by_present_names
from lossreg.contract.image_options import ImageOptions
from lossreg.contract.params import Float
from lossreg.errors import InputError
from lossreg.runtime.user_code import is_function
from lossreg.storage.pareto import MOST_METRICS
from lossreg.terminal import masking

AUTO, BUILT_IN = "auto", ("mlp", "cnn")
MLP_OPTIONS, CNN_OPTIONS = ("hidden", "activation", "dropout", "batch_norm"), ("filters", "kernel_size")
# samplers that cannot be had beside constraints, and why
UNCONSTRAINED = {
    "cmaes": "does not learn from them",
    "gp": "learns nothing from them once a trial has diverged",
}
REPEATS, OUTER_REPEATS = 20, 6  # of winner and baseline on the test rows, and in each outer fold


def _later(default: Any, description: str | None = None) -> Any:
    """Return the field of a key that older versions lack; at its default a study is stored as by them."""
    return Field(default=default, exclude_if=lambda value: value == default, description=description)


class Section(BaseModel):
    """A table of a study file: no key that it does not know, no value converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class Data(Section):
    """The data. `test` is a share of all rows, `validation` of those that remain, or each a file of further rows.

    With `test = 0` there are no test rows.

    `group`, `time` and `split` are columns that say how the rows are cut, and no features.
    """

    source: Text = Field(
        description='It is a file, a folder of images, "sklearn:NAME" or "package.module:function"; rows in Python are '
        "given as data=rows."
    )
    target: Columns = None
    weight: Text | None = Field(default=None, description="It is the column of sample weights.")
    task: Literal["auto", "binary", "multiclass", "multilabel", "segmentation", "regression", "positive", "count"] = (
        "auto"
    )
    test: ShareOrNone = 0.2
    validation: Share = 0.2
    folds: int | None = Field(
        default=None, ge=2, le=10_000, description="It is the number of folds of the rows outside the test, at least 2."
    )
    drop: Texts = Field(default=(), description="It is a list of columns to leave out.")
    preprocess: Preprocessing = _later("standard")
    image_size: ImageSize = _later(None)
    image_channels: ImageChannels = _later(None)
    drop_unreadable: bool = _later(False)
    encoding: Encoding = _later(None)
    decimal: Literal[".", ","] | None = _later(None)
    thousands: Literal[".", ",", "'", " ", "none"] | None = _later(None)
    na_values: NaValues = _later(())
    drop_unlabelled: bool = _later(False)
    single_rows: bool = _later(False, "It says whether a class may have a single row, which is then a training row.")
    columns: Kinds = _later({})
    positive: Positive = _later(None)
    sheet: Text | None = _later(None)
    group: Text | None = _later(None, "It is the column of what several rows belong to, such as a customer.")
    time: Text | None = _later(None, "It is the column of times: the newest rows are the test rows.")
    split: Text | None = _later(None, "It is a column that says train, validation or test for each row.")

    exposure: Text | None = _later(None, "It is the column of exposures, such as days insured.")
    noise: Annotated[float, Field(ge=0, lt=1)] = _later(
        0.0, "It is the share of labels of training and validation rows that are replaced by another class."
    )

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def is_tested(self) -> bool:
        """True where the study has test rows."""
        return self.test != 0

    @property
    def aside(self) -> dict[str, str]:
        """The columns that are no features, by the key that names them: group, time, split, exposure."""
        keys = ("group", "time", "split", "exposure")
        return {key: name for key in keys if (name := getattr(self, key)) is not None}

    @property
    def options(self) -> Options:
        """The options for the reading of the data."""
        return Options(
            encoding=self.encoding, decimal=self.decimal, thousands=self.thousands, na_values=self.na_values,
            drop_unlabelled=self.drop_unlabelled, columns=self.columns, positive=self.positive, sheet=self.sheet,
            fewest=1 if self.single_rows else 2,
        )  # fmt: skip

    @model_validator(mode="after")
    def _marks_differ(self) -> Data:
        if self.thousands is not None and self.thousands == self.decimal:
            hint = 'Numbers such as 1.234,5 have decimal = "," and thousands = ".".'
            raise InputError(f"{shown(self.thousands)} is the decimal mark too", where="thousands", hint=hint)
        if both := [name for name in self.columns if name in self.drop and self.columns[name] != "drop"]:
            what = f"{shown(both[0])} is a {self.columns[both[0]]} here, and stands in drop"
            raise InputError(what, where="columns", hint="Name it in one of them.")
        return self

    @property
    def images(self) -> ImageOptions:
        """The options for the reading of images."""
        return ImageOptions(self.image_size, self.image_channels, self.drop_unreadable)

    @model_validator(mode="after")
    def _one_way(self) -> Data:
        if self.folds is not None and "validation" in self.model_fields_set:
            raise InputError("folds and validation exclude each other", hint="Keep one of them.")
        return self

    @model_serializer(mode="wrap")
    def _one_of_two(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        section: dict[str, Any] = plain(self)
        section.pop("folds" if self.folds is None else "validation")
        return section

    @model_validator(mode="after")
    def _cuts_in_one_way(self) -> Data:
        if self.time is None:
            return self
        files = [key for key in ("test", "validation") if isinstance(getattr(self, key), str)]
        for key in [*(key for key in ("group", "split") if getattr(self, key) is not None), *files]:
            hint = "time cuts the newest rows off: keep one of them."
            raise InputError(f"time and {key} exclude each other", where="time", hint=hint)
        return self

    @model_validator(mode="after")
    def _keeps_aside(self) -> Data:
        taken = {**dict.fromkeys(self.targets, "the target"), **({self.weight: "the weights"} if self.weight else {})}
        for key, name in self.aside.items():
            if name in taken:
                raise InputError(f"{shown(name)} is {taken[name]}", where=key)
            if name in self.drop:
                raise InputError(f"{shown(name)} is the column of {key}, so it is no feature already", where="drop")
            taken[name] = f"the column of {key}"
        return self

    @model_validator(mode="after")
    def _keeps_target(self) -> Data:
        for name in self.targets:
            if name in self.drop:
                raise InputError(f"the target {shown(name)} cannot be dropped", where="drop")
            if name == self.weight:
                raise InputError(f"{shown(name)} is the target", where="weight")
        if self.weight in self.drop:
            raise InputError(f"{shown(self.weight)} holds the weights, so it is no feature already", where="drop")
        return self


class Model(Section):
    """The model: the built-in `mlp` or `cnn`, or the user's `file.py:function`, which defines its own layers.

    By default it is `cnn` for images and `mlp` for other data; `start` is a saved model in its place. `hp` has the
    values and search spaces of a user's hyperparameters; each option of a built-in model may be searched.
    """

    # stored as by older versions, unless the data make another one of it
    build: Annotated[Build, PlainSerializer(lambda build: "mlp" if build == AUTO else reference(build))] = AUTO
    hidden: Annotated[Widths, *SEARCHED] = Field(
        default=(64, 64), description="It is a list of layer widths, such as [64, 64]."
    )
    activation: Annotated[Text, *SEARCHED] = "relu"
    dropout: Annotated[Annotated[float, Field(ge=0, lt=1)], *SEARCHED] = 0.0
    batch_norm: Annotated[bool, *SEARCHED] = False
    filters: Annotated[Filters, *SEARCHED] = _later(
        (16, 32), "It is a list of the filters of each convolution of the cnn, such as [16, 32]."
    )
    kernel_size: Annotated[KernelSize, *SEARCHED] = _later(3)
    hp: Hyperparameters = None
    start: StartFile = _later(None, 'It is the path of a saved Keras model, such as "base.keras".')
    head: Literal["kept", "new"] = _later("kept")

    @model_validator(mode="after")
    def _starts_in_one_way(self) -> Model:
        if self.start is None and self.head == "new":
            what = 'belongs to start = "base.keras", a saved model'
            raise InputError(what, where="head", hint="Leave it out: other models end as the losses need it.")
        for name in ("build", *MLP_OPTIONS, *CNN_OPTIONS, "hp"):
            if self.start is not None and name in self.model_fields_set:
                what = f"belongs to a model that is built, and {self.start} is one already"
                raise InputError(what, where=name, hint="Leave it out, or start.")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        section: dict[str, Any] = plain(self)
        return {name: section[name] for name in ("start", "head") if name in section} if self.start else section

    @model_validator(mode="after")
    def _options_fit_build(self) -> Model:
        if not self.is_own and self.hp is not None:
            hint = "Its options may be searched: hidden = { choices = [[64], [64, 64]] }."
            name = "a built-in model" if self.build == AUTO else self.build
            raise InputError(f"belongs to a function of your own; {name} has no hp", where="hp", hint=hint)
        for name in (*MLP_OPTIONS, *CNN_OPTIONS):
            if self.is_own and name in self.model_fields_set:
                owner = "mlp" if name in MLP_OPTIONS else "cnn"
                raise InputError(f'belongs to build = "{owner}"; {self.reference} makes its own layers', where=name)
        if self.build == "mlp":
            self.require_no_convolutions()
        return self

    def require_no_convolutions(self, data: str = "") -> None:
        """Raise `InputError` for an option that the `mlp` does not have; data: why it is the model."""
        for name in CNN_OPTIONS:
            if name in self.model_fields_set:
                raise InputError(f'belongs to build = "cnn"{data}', where=name, hint="Leave it out.")

    @property
    def is_own(self) -> bool:
        """True for a model of the user's own, a name or in Python what builds it."""
        return not isinstance(self.build, str) or ":" in self.build

    @property
    def reference(self) -> str:
        """The name of the model, or where what builds it is defined."""
        return str(reference(self.build))

    @property
    def options(self) -> dict[str, Any]:
        """The options of a built-in model, none of the user's own."""
        names = {"mlp": MLP_OPTIONS, "cnn": (*MLP_OPTIONS, *CNN_OPTIONS)}.get(self.reference, ())
        return {name: getattr(self, name) for name in names}


class Optimizer(Section):
    """A Keras optimizer's name, in lower case, and its settings other than the learning rate.

    settings are fixed; searched are those with a `Space`, in the order of the study file.
    """

    name: str
    settings: dict[str, bool | int | float | None] = Field(default_factory=dict)
    searched: dict[str, Any] = Field(default_factory=dict)

    def describe(self) -> str:
        """`sgd, momentum 0 to 0.99, nesterov true`."""
        fixed = [f"{name} {shown(value)}" for name, value in self.settings.items()]
        return ", ".join([self.name, *fixed, *(f"{name} {space.describe()}" for name, space in self.searched.items())])

    @model_serializer
    def _plain(self) -> str | dict[str, Any]:
        settings = {**self.settings, **{name: space.plain() for name, space in self.searched.items()}}
        return {"name": self.name, **settings} if settings else self.name


def _optimizer(raw: Any) -> Optimizer:
    if isinstance(raw, Optimizer):
        return raw
    hint = 'Write "adam" or { name = "sgd", momentum = 0.9 }.'
    name, table = optimization.named(raw, "optimizer", OPTIMIZERS, hint)
    spaces = {key: optimization.read(name, key, value) for key, value in table.items() if key != "name"}
    spaces = {key: space for key, space in spaces.items() if table[key] != "default"}
    fixed = {key: space.value for key, space in spaces.items() if isinstance(space, Fixed)}
    searched = {key: space for key, space in spaces.items() if not isinstance(space, Fixed)}
    return Optimizer(name=name, settings=fixed, searched=searched)


def _learning_rate(raw: Any, info: ValidationInfo) -> Space:
    optimizer = info.data.get("optimizer")
    low, high = RATES.get(optimizer.name if optimizer else "", USUAL_RATES)
    return parse(raw, Float("learning_rate", math.sqrt(low * high), low, high, log=True, domain="(0, inf)"))


class EarlyStopping(Section):
    """A trial ends after `patience` epochs in which its score got no better by more than `min_delta`."""

    patience: Count
    min_delta: float = Field(default=0.0, ge=0)


def _early_stopping(raw: Any) -> Any:
    """Return the table that a study file means: a number of epochs is a patience."""
    whole = isinstance(raw, int) and not isinstance(raw, bool)
    if raw is None or whole or isinstance(raw, (Mapping, EarlyStopping)):
        return {"patience": raw} if whole else raw
    hint = "Write 5 or { patience = 5, min_delta = 0.001 }."
    raise InputError(f"must be a number of epochs or a table with a patience, not {shown(raw)}", hint=hint)


class Train(Section):
    """The training of one trial. The learning rate is searched with the loss unless it is fixed."""

    epochs: Count = 30
    batch_size: Annotated[Count, *SEARCHED] = 32
    optimizer: Annotated[Optimizer, BeforeValidator(_optimizer)] = Optimizer(name="adam")
    learning_rate: Annotated[Space, PlainValidator(_learning_rate), PlainSerializer(lambda space: space.plain())] = (
        Field(default="search", validate_default=True)
    )
    schedule: Annotated[
        optimization.Schedule | None,
        PlainValidator(optimization.schedule), PlainSerializer(lambda schedule: schedule.plain() if schedule else None),
    ] = None  # fmt: skip
    early_stopping: Annotated[EarlyStopping | None, BeforeValidator(_early_stopping)] = None
    class_weight: ClassWeight = None
    embedding_gradients: Literal["summed", "keras"] = _later("summed")
    callbacks: CallbackMaker = _later(None, 'It is "file.py:function" or "package.module:function".')


class Search(Section):
    """The search: its budget, metric and time limit."""

    trials: Count = 64
    metric: MetricName = Field(default=None, description="`lossreg metrics` lists the names.")
    metrics: Texts = _later((), 'It is a list of two or three metrics, such as ["f1_macro", "brier"].')
    direction: Literal["maximize", "minimize"] | None = _later(None)
    predictions: Literal["label", "probability"] | None = _later(None)
    seed: int = Field(default=0, ge=0, lt=2**32)
    seeds: Seeds = Field(default=1, description="It is the number of seeds that each trial is trained with.")
    minutes: float | None = Field(default=None, gt=0, description="It is the time after which no trial is started.")
    score_epoch: Literal["last", "best"] = "last"
    pruner: Literal["none", "median", "asha", "hyperband"] = "none"
    lanes: Lanes = "auto"
    trainer: Literal["auto", "population", "fit"] = "auto"
    sampler: Sampler = "tpe"
    decision: Literal["default", "tuned"] = _later("default")
    constraints: Annotated[dict[Text, float], Field(max_length=5)] = _later(
        {}, "It is a table of metrics, each with the value that a trial must keep, such as { recall = 0.9 }."
    )
    confirm: Annotated[int, Field(ge=0, le=1000)] = _later(
        5, "It is the number of fresh splits on which the best settings of each loss are trained again, 0 for none."
    )
    keep: Literal["best", "losses", "all"] = Field(
        default="losses",
        description="It says which weights are kept: of the best trial, of the best trial per loss, or of all trials.",
    )

    @model_validator(mode="before")
    @classmethod
    def _first_metric(cls, section: Any) -> Any:
        """Have the first of several metrics be the metric."""
        names = section.get("metrics") if isinstance(section, Mapping) else None
        if isinstance(names, (list, tuple)) and names and section.get("metric") is None:
            return {**section, "metric": names[0]}
        return section

    @model_validator(mode="after")
    def _several_metrics(self) -> Search:
        if "metrics" not in self.model_fields_set:
            return self
        if not MOST_METRICS >= len(self.metrics) > 1:
            what = f"a search has two or three metrics, not {len(self.metrics)}"
            raise InputError(what, where="metrics", hint='One alone is metric = "f1_macro".')
        if self.metric != self.metrics[0]:
            what = "metric and metrics are both there; the first of metrics is the metric"
            raise InputError(what, where="metrics", hint="Leave one of the two out.")
        if self.pruner != "none":
            what = "a pruner compares trials by one score, and the study has several metrics"
            raise InputError(what, where="pruner", hint='Set search.pruner = "none".')
        if self.sampler not in ("tpe", "random"):
            what = f"with several metrics the sampler is tpe or random, not {self.sampler}"
            raise InputError(what, where="sampler", hint='Set search.sampler = "tpe".')
        if self.decision == "tuned":
            what = "a decision is tuned for one metric, and the study has several"
            raise InputError(what, where="decision", hint="Leave one of the two out.")
        if any(map(is_function, self.metrics)):
            what = "a function of your own is a study's one metric"
            raise InputError(what, where="metrics", hint="`lossreg metrics` lists those that may be several.")
        return self

    @model_validator(mode="after")
    def _constrained(self) -> Search:
        if self.constraints and self.decision == "tuned":
            what = "constraints are held against default decisions, and search.decision is tuned"
            raise InputError(what, where="constraints", hint="Leave one of the two out.")
        if self.constraints and self.sampler in UNCONSTRAINED:
            what = f"constraints do not go with the sampler {self.sampler}, which {UNCONSTRAINED[self.sampler]}"
            raise InputError(what, where="sampler", hint='Set search.sampler = "tpe".')
        return self

    @model_validator(mode="after")
    def _direction_of_own_metric(self) -> Search:
        is_custom = is_function(self.metric)
        if is_custom and self.direction is None:
            name = getattr(self.metric, "__name__", shown(self.metric))
            what = f"{name} is a function, and only you know whether more of it is better"
            raise InputError(what, where="metric", hint='Set search.direction = "maximize", or "minimize".')
        for name in ("direction", "predictions"):
            if not is_custom and getattr(self, name) is not None:
                what = 'belongs to a metric of your own, such as "file.py:function"; other metrics have their own'
                raise InputError(what, where=name, hint="Leave it out.")
        return self


class Verdict(Section):
    """The verdict: winner and baseline are trained again `repeats` times and compared on the test rows.

    With `outer` folds the whole search is done again in each, and every row is a test row once.
    """

    enabled: bool = True
    repeats: int | None = Field(
        default=None, ge=2, le=1000, description="It is the number of trainings of each of them, 2 to 1000."
    )
    outer: OuterFolds = None
    margin: float = Field(
        default=0.0, ge=0, description="It is the difference of the metric below which two losses count as equal."
    )

    def repeats_with(self, outer: int) -> int:
        """Return the number of repeats: of each of so many outer folds, with 0 those on the test rows."""
        return self.repeats or (OUTER_REPEATS if outer else REPEATS)

    def is_met(self, *, outer: int, repeats: int, margin: float) -> bool:
        """Return whether a verdict with these is what is asked for; so many outer folds are, where none are named."""
        is_as_deep = self.outer in (None, outer) and repeats >= self.repeats_with(outer)
        return is_as_deep and margin == self.margin


class Tracking(Section):
    """The MLflow store of the study; by default MLflow's own default store, under the study's name.

    `register` is the name of the registered model, that of the study by default, or false for none.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    experiment: Annotated[str, Field(max_length=500)] = ""
    uri: TrackingUri | None = Field(
        default=None, description='It is an MLflow tracking URI, such as "sqlite:///mlflow.db".'
    )
    enabled: bool = True
    model: bool = Field(default=True, description="It says whether the model of the recommended trial is logged.")
    registered: Annotated[Registered, Field(alias="register")] = _later(True)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [(name, masking.masked_values(value)) for name, value in super().__repr_args__()]


class Storage(Section):
    """The place of the trials: by default a file beside the study, for one process; `url` for several workers.

    A worker that gave no sign of life for `dead_after` seconds counts as dead, and its trials are run by others;
    a storage that does not answer is asked again for `patience` seconds.
    """

    url: StorageUrl | None = Field(
        default=None, description='It is an address such as "postgresql+psycopg://user@host/database".'
    )
    dead_after: float = Field(default=60.0, ge=1.0, le=86_400.0)
    patience: float = Field(default=300.0, ge=0.0, le=86_400.0)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [(name, masking.masked_values(value)) for name, value in super().__repr_args__()]


class Plugins(Section):
    """The plugins that are left out, by entry point or distribution."""

    block: Texts = Field(default=(), description="It is a list of plugin names.")
    skip_missing: bool = Field(
        default=False,
        description="It says whether a study that was begun goes on without losses whose plugin is not installed.",
    )


class Loss(Section):
    """One candidate: a registered loss (`loss`, by default the one of its name) or the user's own `function`.

    Every other key is a parameter, kept as written until the registry is known.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Parameter]

    loss: Text | None = None
    function: Function = None
    activation: ActivationName = Field(default=None, validation_alias=AliasChoices("activation", "link"))
    target: TargetName = None
    outputs: Outputs = None

    @model_validator(mode="before")
    @classmethod
    def _checked_table(cls, raw: Any) -> Any:
        if callable(raw):
            name = getattr(raw, "__name__", "my_loss")
            raise InputError("must be a table, not a function", hint=f'Write {{"function": {name}}}.')
        if isinstance(raw, Mapping):
            by_present_names(raw)
        return raw

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, as written."""
        return dict(self.model_extra or {})

    @property
    def facts(self) -> dict[str, str]:
        """Return the facts that the study states about its own function: activation, target, outputs."""
        facts = {"activation": self.activation, "target": self.target, "outputs": self.outputs}
        return {name: value for name, value in facts.items() if value is not None}

    @model_validator(mode="after")
    def _one_source(self) -> Loss:
        if self.function is not None and self.loss is not None:
            raise InputError("loss and function exclude each other", hint="Keep one of them.")
        if self.function is None and self.facts:
            what = "belongs to a function of your own; a registered loss has its own"
            raise InputError(what, where=next(iter(self.facts)))
        return self
