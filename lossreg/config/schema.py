"""The sections of a study file, one class each: what may stand there, and what stands there if nothing does."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    Strict,
    ValidationInfo,
    WrapValidator,
    model_serializer,
    model_validator,
)

from lossreg.config import optimization as settings
from lossreg.config.optimization import OPTIMIZERS, RATES, USUAL_RATES
from lossreg.config.search_space import Fixed, Options, Space, evenly, parse, shown, well_formed
from lossreg.contract.activations import ACTIVATIONS
from lossreg.contract.params import Float
from lossreg.contract.spec import WIDTHS
from lossreg.contract.targets import TARGETS
from lossreg.errors import InputError, did_you_mean
from lossreg.runtime.user_code import FORMS
from lossreg.terminal import masking

# each rate of dropout makes a graph of its own, so that a range is searched in steps, none longer than this
DROPOUT_STEP = 0.05
# more would fill any memory before the first epoch
MOST_SEEDS, MOST_LANES = 1000, 100_000


class Section(BaseModel):
    """A table of a study file: no key that it does not know, no value converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


def _lanes(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        if value != "auto" and value > MOST_LANES:
            raise InputError(f"must be at most {MOST_LANES:,}, not {shown(value)}")
        return value
    hint = did_you_mean(value, ("auto",)) if isinstance(value, str) else ""
    raise InputError(f'must be "auto" or a whole number from 1, not {shown(value)}', hint=hint)


Share = Annotated[float, Field(gt=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Strict(False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seeds = Annotated[int, Field(ge=1, le=MOST_SEEDS)]
Widths = Annotated[tuple[Annotated[Count, Strict()], ...], Strict(False), Field(max_length=1000)]


def _target(value: Any) -> Any:
    """Return the name of a column, or the names of several."""
    if value is None:
        return None
    hint = 'It is the name of the column to predict, or the list of the columns of several labels: ["a", "b"].'
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise InputError(f"must be text or a list of texts, not {shown(value)}", hint=hint)
    if not names or "" in names:
        raise InputError("must not be empty", hint=hint)
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{shown(twice[0])} stands there twice")
    return names[0] if len(names) == 1 else tuple(names)


def _ways(value: Any) -> Any:
    """Preprocessing of features: of all of them, or by input."""
    hint = 'It is "standard" or "none", or for several inputs a table such as { tokens = "none" }.'
    ways = list(value.values()) if isinstance(value, Mapping) else [value]
    for way in ways:
        if way not in ("standard", "none"):
            near = did_you_mean(way, ("standard", "none")) if isinstance(way, str) else ""
            raise InputError(f'must be "standard" or "none", not {shown(way)}', hint=near or hint)
    return dict(value) if isinstance(value, Mapping) else value


Columns = Annotated[str | tuple[str, ...] | None, PlainValidator(_target), PlainSerializer(lambda names: names)]


class Data(Section):
    """The data. `test` is a share of all rows, `validation` of those that remain."""

    source: Text = Field(
        description='It is a file, "sklearn:NAME" or "package.module:function", such as source = "churn.csv".'
    )
    target: Columns = None
    weight: Text | None = Field(default=None, description="It is the column that says what each row counts.")
    task: Literal["auto", "binary", "multiclass", "multilabel", "segmentation", "regression", "positive", "count"] = (
        "auto"
    )
    test: Share = Field(default=0.2, description="It is the share of the rows kept for the verdict, between 0 and 1.")
    validation: Share = Field(
        default=0.2, description="It is the share of the rows outside the test that are scored on, between 0 and 1."
    )
    folds: int | None = Field(
        default=None, ge=2, le=10_000, description="It is into how many folds the other rows are cut, from 2."
    )
    drop: Texts = Field(default=(), description="It is a list of columns to leave out.")
    preprocess: Annotated[Any, PlainValidator(_ways), PlainSerializer(lambda ways: ways)] = "standard"

    @model_validator(mode="after")
    def _one_way(self) -> Data:
        if self.folds is not None and "validation" in self.model_fields_set:
            raise InputError("folds and validation exclude each other", hint="Keep the one that is meant.")
        return self

    @model_serializer(mode="wrap")
    def _meant(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        section: dict[str, Any] = plain(self)
        section.pop("folds" if self.folds is None else "validation")
        if self.preprocess == "standard":
            section.pop("preprocess")  # as in studies from before there was a choice
        return section

    @model_validator(mode="after")
    def _keeps_target(self) -> Data:
        for name in (self.target,) if isinstance(self.target, str) else self.target or ():
            if name in self.drop:
                raise InputError(f"the target {shown(name)} cannot be dropped", where="drop")
            if name == self.weight:
                raise InputError(f"{shown(name)} is the target", where="weight")
        if self.weight in self.drop:
            raise InputError(f"{shown(self.weight)} holds the weights, so it is no feature already", where="drop")
        return self


def _searched(raw: Any, check: Callable[[Any], Any], info: ValidationInfo) -> Any:
    """Return a value, or where a table stands there the `Space` of a search; of a range, steps."""
    if not isinstance(raw, Mapping):
        return raw if isinstance(raw, Space) else check(raw)
    well_formed(raw)
    if "choices" in raw:
        values = tuple(check(choice) for choice in raw["choices"])
        return Options(values) if len(values) > 1 else values[0]
    if info.field_name != "dropout" or raw.get("log"):
        raise InputError("is searched over choices", hint="Write { choices = [...] }.")
    found = evenly(check(float(raw["low"])), check(float(raw["high"])), DROPOUT_STEP)
    return found.value if isinstance(found, Fixed) else found


def _plain(value: Any) -> Any:
    return value.plain() if isinstance(value, Space) else list(value) if isinstance(value, tuple) else value


# the value is a `Space` where a study searches it
SEARCHED = (WrapValidator(_searched), PlainSerializer(_plain))


def _hp(raw: Any) -> Any:
    """`"search"`, or what is said of hyperparameters by name; None for the defaults."""
    if raw in (None, "default", "search"):
        return None if raw == "default" else raw
    if not isinstance(raw, Mapping):
        near = did_you_mean(raw, ("search", "default")) if isinstance(raw, str) else ""
        hint = near or 'Write "search" or { units = { choices = [32, 64] }, rate = 0.2 }.'
        raise InputError(f"must be a table of hyperparameters, not {shown(raw)}", hint=hint)
    for name, value in raw.items():
        try:
            well_formed(value)
        except InputError as error:
            raise error.at(name) from error
    return dict(raw)


class Model(Section):
    """The model: the built-in `mlp`, or the user's `file.py:function`, which defines its own layers.

    `hp` says which hyperparameters of a user's function are searched, the options of `mlp` may be searched each.
    """

    build: Text = Field(default="mlp", description='It is "mlp", "file.py:function" or "package.module:function".')
    hidden: Annotated[Widths, *SEARCHED] = Field(
        default=(64, 64), description="It is a list of layer widths, such as [64, 64]."
    )
    activation: Annotated[Text, *SEARCHED] = "relu"
    dropout: Annotated[Annotated[float, Field(ge=0, lt=1)], *SEARCHED] = 0.0
    batch_norm: Annotated[bool, *SEARCHED] = False
    hp: Annotated[Any, PlainValidator(_hp)] = None

    @model_validator(mode="after")
    def _settles_its_own(self) -> Model:
        if ":" not in self.build and self.hp is not None:
            hint = "Its options may be searched: hidden = { choices = [[64], [64, 64]] }."
            raise InputError(f"belongs to a function of your own; {self.build} has no hp", where="hp", hint=hint)
        for name in ("hidden", "activation", "dropout", "batch_norm"):
            if ":" in self.build and name in self.model_fields_set:
                raise InputError(f'belongs to build = "mlp"; {self.build} makes its own layers', where=name)
        return self


class Optimizer(Section):
    """A Keras optimizer's name, in lower case, and its settings other than the learning rate.

    settings are fixed; searched are those with a `Space`, in the order of the study file.
    """

    name: str
    settings: dict[str, bool | int | float | None] = Field(default_factory=dict)
    searched: dict[str, Any] = Field(default_factory=dict)

    def describe(self) -> str:
        """`sgd, momentum 0 to 0.99, nesterov true`."""
        own = [f"{name} {shown(value)}" for name, value in self.settings.items()]
        return ", ".join([self.name, *own, *(f"{name} {space.describe()}" for name, space in self.searched.items())])

    @model_serializer
    def _plain(self) -> str | dict[str, Any]:
        own = {**self.settings, **{name: space.plain() for name, space in self.searched.items()}}
        return {"name": self.name, **own} if own else self.name


def _optimizer(raw: Any) -> Optimizer:
    if isinstance(raw, Optimizer):
        return raw
    hint = 'Write "adam" or { name = "sgd", momentum = 0.9 }.'
    name, table = settings.named(raw, "optimizer", OPTIMIZERS, hint)
    spaces = {key: settings.read(name, key, value) for key, value in table.items() if key != "name"}
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
    """Return a number of epochs is a patience."""
    whole = isinstance(raw, int) and not isinstance(raw, bool)
    if raw is None or whole or isinstance(raw, (Mapping, EarlyStopping)):
        return {"patience": raw} if whole else raw
    hint = "Write 5 or { patience = 5, min_delta = 0.001 }."
    raise InputError(f"must be a number of epochs or a table with a patience, not {shown(raw)}", hint=hint)


def _class_weight(value: Any) -> Any:
    hint = 'It is "balanced", a list of weights in class order, or a table by class: { yes = 5.0 }.'
    if value is None or value == "balanced":
        return value
    if isinstance(value, str):
        raise InputError(f"unknown class weight {shown(value)}", hint=did_you_mean(value, ("balanced",)) or hint)
    weights = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    if not weights or any(isinstance(w, bool) or not isinstance(w, (int, float)) for w in weights):
        raise InputError(f"must be weights of classes, not {shown(value)}", hint=hint)
    if not all(math.isfinite(w) and w >= 0 for w in weights):
        raise InputError(f"must be finite numbers of 0 or more, not {shown(value)}")
    return {str(name): w for name, w in value.items()} if isinstance(value, Mapping) else tuple(value)


def _listed(weights: Any) -> Any:
    return list(weights) if isinstance(weights, tuple) else weights


class Train(Section):
    """The training of one trial. The learning rate is searched with the loss unless it is fixed."""

    epochs: Count = 30
    batch_size: Annotated[Count, *SEARCHED] = 32
    optimizer: Annotated[Optimizer, BeforeValidator(_optimizer)] = Optimizer(name="adam")
    learning_rate: Annotated[Space, PlainValidator(_learning_rate), PlainSerializer(lambda space: space.plain())] = (
        Field(default="search", validate_default=True)
    )
    schedule: Annotated[
        settings.Schedule | None,
        PlainValidator(settings.schedule), PlainSerializer(lambda own: own.plain() if own else None),
    ] = None  # fmt: skip
    early_stopping: Annotated[EarlyStopping | None, BeforeValidator(_early_stopping)] = None
    class_weight: Annotated[Any, PlainValidator(_class_weight), PlainSerializer(_listed)] = None
    embedding_gradients: Literal["summed", "keras"] = "summed"

    @model_serializer(mode="wrap")
    def _meant(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        section: dict[str, Any] = plain(self)
        if self.embedding_gradients == "summed":
            section.pop("embedding_gradients")  # as in studies from before there was a choice
        return section


class Search(Section):
    """The search: its budget, metric and time limit."""

    trials: Count = 64
    metric: Text | None = Field(default=None, description="`lossreg metrics` lists the names.")
    seed: int = Field(default=0, ge=0, lt=2**32)
    seeds: Seeds = Field(default=1, description="It is how often each trial is trained, from as many seeds.")
    minutes: float | None = Field(default=None, gt=0, description="It is the time after which no trial is started.")
    score_epoch: Literal["last", "best"] = "last"
    pruner: Literal["none", "median", "asha", "hyperband"] = "none"
    lanes: Annotated[Literal["auto"] | int, BeforeValidator(_lanes)] = "auto"
    trainer: Literal["auto", "population", "fit"] = "auto"
    sampler: Literal["tpe", "random"] = "tpe"
    keep: Literal["best", "losses", "all"] = Field(
        default="losses",
        description="It is whose weights are kept: the top-scoring trial's, those of each loss's, or all.",
    )


def _with_secrets_noted(uri: str) -> str:
    masking.learn(uri)
    return uri


class Tracking(Section):
    """The MLflow store of the study; by default MLflow's own default store, under the study's name."""

    experiment: Annotated[str, Field(max_length=500)] = ""
    uri: Annotated[Text, AfterValidator(_with_secrets_noted)] | None = Field(
        default=None, description='It is an MLflow tracking URI, such as "sqlite:///mlflow.db".'
    )
    enabled: bool = True
    model: bool = Field(default=True, description="Whether the model of the top-scoring trial is logged.")

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [(name, masking.masked_values(value)) for name, value in super().__repr_args__()]


class Plugins(Section):
    """The plugins that are left out, by entry point or distribution."""

    block: Texts = Field(default=(), description="It is a list of plugin names.")
    skip_missing: bool = Field(
        default=False, description="Whether a study that was begun goes on without losses whose plugin is gone."
    )


def _function(value: Any) -> Any:
    if callable(value) or value is None:
        return value
    if not isinstance(value, str):
        raise InputError(f"must be text, not {shown(value)}", hint=FORMS)
    place, _, name = value.rpartition(":")
    if not place or not name.isidentifier():
        raise InputError(f"{shown(value)} names no function", hint=FORMS)
    return value


def _known(what: str, known: Mapping[str, Any]) -> AfterValidator:
    def check(value: str | None) -> str | None:
        if value is not None and value not in known:
            said = f"unknown {what} {shown(value)}; known: {', '.join(known)}"
            raise InputError(said, hint=did_you_mean(value, known))
        return value

    return AfterValidator(check)


def _outputs(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if text is not None and not (isinstance(text, str) and WIDTHS.fullmatch(text) and text != "0"):
        raise InputError(f'must be a number, "k" or "k-1", not {shown(value)}')
    return text


def _absent(raw: Any) -> Any:
    return "none" if raw is None else raw


def _reference(function: Any) -> Any:
    if function is None or isinstance(function, str):
        return function
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}:{kind.__qualname__}"


class Loss(Section):
    """One candidate: a registered loss (`loss`, by default the one of its name) or the user's own `function`.

    Every other key is a parameter, kept as written until the registry is known.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(well_formed), AfterValidator(_absent)]]

    loss: Text | None = None
    function: Annotated[str | Callable[..., Any] | None, PlainValidator(_function), PlainSerializer(_reference)] = None
    activation: Annotated[str | None, _known("activation", ACTIVATIONS)] = None
    target: Annotated[str | None, _known("target", TARGETS)] = None
    outputs: Annotated[str | None, BeforeValidator(_outputs)] = None

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, raw: Any) -> Any:
        # `link` was the name of `activation` up to 0.2.0
        former = isinstance(raw, Mapping) and "link" in raw and "activation" not in raw
        return {"activation" if key == "link" else key: value for key, value in raw.items()} if former else raw

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, as written."""
        return dict(self.model_extra or {})

    @property
    def own(self) -> dict[str, str]:
        """Return the facts that the study states about its own function: activation, target, outputs."""
        said = {"activation": self.activation, "target": self.target, "outputs": self.outputs}
        return {name: value for name, value in said.items() if value is not None}

    @model_validator(mode="after")
    def _one_source(self) -> Loss:
        if self.function is not None and self.loss is not None:
            raise InputError("loss and function exclude each other", hint="Keep the one that is meant.")
        if self.function is None and self.own:
            said = "belongs to a function of your own; a registered loss has its own"
            raise InputError(said, where=next(iter(self.own)))
        return self


def _candidate_name(candidate: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]+", candidate) is None:
        hint = f"Try {safe(candidate)}." if safe(candidate) else ""
        raise InputError("the name of a loss has only letters, digits, _ and -", hint=hint)
    return candidate


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name) is None:
        hint = f'Try "{safe(name)}".' if safe(name) else ""
        said = f"{shown(name)} names a folder and an experiment, so it has up to 100 letters, digits, _, - and ."
        raise InputError(said, hint=hint)
    return name


def safe(text: str) -> str:
    """`text` with every run of other characters than letters, digits and _ made one hyphen."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:100]


CandidateName = Annotated[str, AfterValidator(_candidate_name)]
Name = Annotated[str, AfterValidator(_name)]
