"""Types of the values in a study file: each checks a value, and its errors say what would work."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    ValidationInfo,
    WrapValidator,
)

from lossreg.config.search_space import Fixed, Options, Space, evenly, shown, well_formed
from lossreg.contract import data_options as options
from lossreg.contract.activations import ACTIVATIONS
from lossreg.contract.spec import WIDTHS
from lossreg.contract.targets import TARGETS
from lossreg.errors import InputError, did_you_mean
from lossreg.runtime.user_code import FORMS
from lossreg.storage import address
from lossreg.terminal import masking
from lossreg.terminal.caller import words

METRIC_NAMES = ("`lossreg metrics` lists the names.", "In a shell, `lossreg metrics` lists the names.")

ENCODINGS = ("utf-8", "utf-16", "latin-1", "iso-8859-1", "iso-8859-15", "cp1252", "cp1250", "cp850", "ascii")
# each rate of dropout makes a graph of its own, so that a range is searched in steps, none longer than this
DROPOUT_STEP = 0.05
# more would fill any memory before the first epoch
MOST_COUNT, MOST_SEEDS, MOST_LANES = 1_000_000, 1000, 100_000
FEWEST_FOLDS, MOST_FOLDS = 2, 10  # outer ones
MOST_PIXELS = 10_000  # of a side of an image
SAMPLERS, HUB = ("tpe", "random", "gp", "cmaes"), "hub:"
FROM_HUB = re.compile(rf"{HUB}\w+", re.ASCII)


def _outer_folds(raw: Any) -> Any:
    is_whole = isinstance(raw, int) and not isinstance(raw, bool)
    if raw is None or (is_whole and (raw == 0 or FEWEST_FOLDS <= raw <= MOST_FOLDS)):
        return raw
    what = f"must be a number of folds from {FEWEST_FOLDS} to {MOST_FOLDS}, or 0 for none, not {shown(raw)}"
    raise InputError(what, hint="Leave it out to have 5 where that takes little time.")


def _lanes(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        if value != "auto" and value > MOST_LANES:
            raise InputError(f"must be at most {MOST_LANES:,}, not {shown(value)}")
        return value
    hint = did_you_mean(value, ("auto",)) if isinstance(value, str) else ""
    raise InputError(f'must be "auto" or a whole number from 1, not {shown(value)}', hint=hint)


def _sampler(value: Any) -> Any:
    if isinstance(value, str) and (value in SAMPLERS or FROM_HUB.fullmatch(value)):
        return value
    known = ", ".join(f'"{name}"' for name in SAMPLERS)
    what = f'must be one of {known}, or "hub:NAME" for a sampler of OptunaHub, not {shown(value)}'
    raise InputError(what, hint=did_you_mean(value, SAMPLERS))


def _some(widths: tuple[int, ...]) -> tuple[int, ...]:
    if not widths:
        raise InputError("must have at least one number")
    return widths


def _share(value: Any) -> Any:
    """Return a share of rows, or the name of a file of rows."""
    hint = 'It is a share between 0 and 1 of the rows, or a file of further rows, such as test = "test.csv".'
    if isinstance(value, str) and value.strip():
        try:
            float(value)
        except ValueError:
            return value
        raise InputError(f"must be a number, not the text {shown(value)}", hint=f"Write it without quotes: {value}.")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"must be a number or a file, not {shown(value)}", hint=hint)
    if not math.isfinite(value):
        raise InputError(f"must be a finite number, not {shown(value)}", hint=hint)
    if not 0 < value < 1:
        raise InputError(f"must be {'above 0' if value <= 0 else 'below 1'}, not {shown(value)}", hint=hint)
    return value


def _share_or_none(value: Any) -> Any:
    """Return a share of rows as `_share` does, or 0 for none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value > 0:
        return _share(value)
    if value < 0:
        hint = "It is a share of the rows; 0 leaves no test rows, so that all rows are for training and validation."
        raise InputError(f"must be 0 or above, not {shown(value)}", hint=hint)
    return 0.0 if value == 0 else _share(value)


Share = Annotated[float | str, PlainValidator(_share), PlainSerializer(lambda share: share)]
ShareOrNone = Annotated[float | str, PlainValidator(_share_or_none), PlainSerializer(lambda share: share)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Strict(False)]
Count = Annotated[int, Field(ge=1, le=MOST_COUNT)]
Seeds = Annotated[int, Field(ge=1, le=MOST_SEEDS)]
Widths = Annotated[tuple[Annotated[Count, Strict()], ...], Strict(False), Field(max_length=1000)]
Filters = Annotated[Widths, AfterValidator(_some)]
KernelSize = Annotated[int, Field(ge=1, le=MOST_PIXELS)]


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
        raise InputError(f"{shown(twice[0])} is listed twice")
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


def _encoding(value: Any) -> Any:
    hint = 'It is the encoding of a text file, such as "utf-8", "latin-1", "cp1252" or "utf-16".'
    if value is not None and not isinstance(value, str):
        raise InputError(f"must be text, not {shown(value)}", hint=hint)
    if value is not None and not options.is_encoding(value):
        raise InputError(f"unknown encoding {shown(value)}", hint=did_you_mean(value, ENCODINGS) or hint)
    return value


def _gaps(value: Any) -> Any:
    """Values that are missing: of all columns, or by column."""
    hint = 'It is a list such as ["?", 999], or a table of lists by column: { age = [999] }.'
    if isinstance(value, Mapping):
        return {str(name): _listed_gaps(values, hint, f" of {name}") for name, values in value.items()}
    return _listed_gaps(value, hint, "")


def _listed_gaps(values: Any, hint: str, of: str) -> tuple[Any, ...]:
    if not isinstance(values, (list, tuple)):
        raise InputError(f"must be a list of texts and numbers{of}, not {shown(values)}", hint=hint)
    for value in values:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not (is_number or (isinstance(value, str) and value.strip())):
            raise InputError(f"must be texts and numbers{of}, not {shown(value)}", hint=hint)
    return tuple(value.strip() if isinstance(value, str) else value for value in values)


def _kinds(value: Any) -> Any:
    """The kinds of columns, by name."""
    known = ", ".join(f'"{kind}"' for kind in options.KINDS)
    hint = f'It is a table such as {{ age = "number", id = "drop" }}; kinds are {known}.'
    if not isinstance(value, Mapping):
        raise InputError(f"must be a table of kinds by column, not {shown(value)}", hint=hint)
    for name, kind in value.items():
        if not isinstance(kind, str) or kind not in options.KINDS:
            near = did_you_mean(kind, options.KINDS) if isinstance(kind, str) else ""
            raise InputError(f"must be one of {known}, not {shown(kind)}", where=str(name), hint=near)
    return {str(name): kind for name, kind in value.items()}


def _positive(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, str) and value.strip()):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    hint = 'It is the name of the positive class, such as "yes" or 1.'
    raise InputError(f"must be the name of a class, not {shown(value)}", hint=hint)


Columns = Annotated[str | tuple[str, ...] | None, PlainValidator(_target), PlainSerializer(lambda names: names)]


def _image_channels(value: Any) -> Any:
    if value is None or (type(value) is int and value in (1, 3, 4)):
        return value
    raise InputError(f"must be 1 (grey), 3 (RGB) or 4 (RGB and transparency), not {shown(value)}")


def _image_size(value: Any) -> Any:
    """Return `(height, width)`; one number is both."""
    if value is None:
        return None
    sides = list(value) if isinstance(value, (list, tuple)) else [value, value]
    if len(sides) == 2 and all(type(side) is int and 1 <= side <= MOST_PIXELS for side in sides):
        return tuple(sides)
    what = f"must be height and width in pixels, from 1 to {MOST_PIXELS:,}, not {shown(value)}"
    raise InputError(what, hint="Write [64, 64].")


def _searched(raw: Any, check: Callable[[Any], Any], info: ValidationInfo) -> Any:
    """Return a value, or the search space that a table gives; a range becomes steps."""
    if not isinstance(raw, Mapping):
        return raw if isinstance(raw, Space) else check(raw)
    well_formed(raw)
    if "choices" in raw:
        values = tuple(check(choice) for choice in raw["choices"])
        return Options(values) if len(values) > 1 else values[0]
    if info.field_name != "dropout" or raw.get("log"):
        raise InputError("is searched over choices", hint="Write { choices = [...] }.")
    steps = evenly(check(float(raw["low"])), check(float(raw["high"])), DROPOUT_STEP)
    return steps.value if isinstance(steps, Fixed) else steps


def _plain(value: Any) -> Any:
    return value.plain() if isinstance(value, Space) else list(value) if isinstance(value, tuple) else value


# the value is a `Space` where a study searches it
SEARCHED = (WrapValidator(_searched), PlainSerializer(_plain))


def _hp(raw: Any) -> Any:
    """Return `"search"`, or values and search spaces of hyperparameters by name; None for the defaults."""
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


def _listed_by_column(gaps: Any) -> Any:
    return {name: list(values) for name, values in gaps.items()} if isinstance(gaps, Mapping) else list(gaps)


def _with_secrets_noted(uri: str) -> str:
    masking.learn(uri)
    return uri


def _function(value: Any) -> Any:
    if callable(value) or value is None:
        return value
    if not isinstance(value, str):
        raise InputError(f"must be text, not {shown(value)}", hint=FORMS)
    path, _, name = value.rpartition(":")
    if not path or not name.isidentifier():
        raise InputError(f"{shown(value)} names no function", hint=FORMS)
    return value


def _build(value: Any) -> Any:
    """Return the name of a model, or what builds one: a function, or a `keras_tuner.HyperModel`."""
    hint = 'It is "mlp", "cnn", "file.py:function" or "package.module:function"; in Python a function too.'
    if isinstance(value, str):
        if not value:
            raise InputError("must not be empty", hint=hint)
        return value
    if hasattr(value, "trainable_weights"):
        what = "is a model, and each trial has one of its own"
        raise InputError(what, hint="Give the function that builds it, such as build_model(hp).")
    if not (callable(value) or callable(getattr(value, "build", None))):
        raise InputError(f"must be text, not {shown(value)}", hint=hint)
    return value


def _metric(value: Any) -> Any:
    """Return the name of a metric, or a function of the user's own."""
    if isinstance(value, str) and ":" not in value:
        if not value:
            raise InputError("must not be empty", hint=words(*METRIC_NAMES))
        return value
    if value is None or isinstance(value, str) or callable(value):
        return _function(value)
    raise InputError(f"must be text, not {shown(value)}", hint=words(*METRIC_NAMES))


def _callbacks(value: Any) -> Any:
    """Return the function that makes the callbacks of a trial."""
    if isinstance(value, (list, tuple)) or hasattr(value, "on_epoch_end"):
        hint = 'Write callbacks = "file.py:make_callbacks"; in Python, give a function that returns the list.'
        raise InputError("every trial has callbacks of its own, so they come from a function", hint=hint)
    return _function(value)


def _start(value: Any) -> Any:
    """Return the path of a saved Keras model as text."""
    hint = 'It is a saved Keras model, such as start = "base.keras": model.save("base.keras").'
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if path is None:
        return None
    if not isinstance(path, str):
        raise InputError(f"must be the path of a file, not {shown(value)}", hint=hint)
    if not path.endswith(".keras"):
        what = f"{shown(path)} is no .keras file" if path else "must not be empty"
        raise InputError(what, hint=f"{hint} Other formats: keras.saving.load_model(...).save(...).")
    return path


def _known(what: str, known: Mapping[str, Any]) -> AfterValidator:
    def check(value: str | None) -> str | None:
        if value is not None and value not in known:
            unknown = f"unknown {what} {shown(value)}; known: {', '.join(known)}"
            raise InputError(unknown, hint=did_you_mean(value, known))
        return value

    return AfterValidator(check)


def _outputs(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if text is not None and not (isinstance(text, str) and WIDTHS.fullmatch(text) and text != "0"):
        raise InputError(f'must be a number, "k" or "k-1", not {shown(value)}')
    return text


def _absent(raw: Any) -> Any:
    return "none" if raw is None else raw


def reference(function: Any) -> Any:
    """Return a name as it is, and where a function, or the class of another object, is defined."""
    if function is None or isinstance(function, str):
        return function
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}:{kind.__qualname__}"


def _candidate_name(candidate: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]+", candidate) is None:
        hint = f"Try {safe(candidate)}." if safe(candidate) else ""
        raise InputError("the name of a loss has only letters from a to z, digits, _ and -", hint=hint)
    return candidate


def _registered(value: Any) -> Any:
    """Return whether a model is registered, or under which name."""
    if not isinstance(value, (bool, str)):
        raise InputError(f"must be true, false or a name, not {shown(value)}")
    if isinstance(value, str) and re.fullmatch(r"\w[\w .-]{0,199}", value) is None:
        hint = f'Try "{safe(value)}".' if safe(value) else ""
        what = (
            f"{shown(value)} is no name of a registered model, which has up to 200 letters, digits, _, -, . and blanks"
        )
        raise InputError(what, hint=hint)
    return value


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name) is None:
        hint = f'Try "{safe(name)}".' if safe(name) else ""
        allowed = "up to 100 letters from a to z, digits, _, - and ."
        what = f"{shown(name)} names a folder and an experiment, so it has {allowed}"
        raise InputError(what, hint=hint)
    return name


def safe(text: str) -> str:
    """`text` with every run of other characters than letters, digits and _ made one hyphen."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:100]


CandidateName = Annotated[str, AfterValidator(_candidate_name)]
Name = Annotated[str, AfterValidator(_name)]

Lanes = Annotated[Literal["auto"] | int, BeforeValidator(_lanes)]
Sampler = Annotated[str, PlainValidator(_sampler)]
OuterFolds = Annotated[int | None, BeforeValidator(_outer_folds)]
Encoding = Annotated[str | None, PlainValidator(_encoding)]
NaValues = Annotated[Any, PlainValidator(_gaps), PlainSerializer(_listed_by_column)]
Kinds = Annotated[Any, PlainValidator(_kinds), PlainSerializer(dict)]
Positive = Annotated[Any, PlainValidator(_positive), PlainSerializer(lambda name: name)]
ImageChannels = Annotated[int | None, PlainValidator(_image_channels)]
ImageSize = Annotated[
    tuple[int, int] | None, PlainValidator(_image_size), PlainSerializer(lambda size: size and list(size))
]
Preprocessing = Annotated[Any, PlainValidator(_ways), PlainSerializer(lambda ways: ways)]
StartFile = Annotated[str | None, PlainValidator(_start), PlainSerializer(lambda start: start)]
Hyperparameters = Annotated[Any, PlainValidator(_hp)]
ClassWeight = Annotated[Any, PlainValidator(_class_weight), PlainSerializer(_listed)]
Registered = Annotated[bool | str, PlainValidator(_registered)]
TrackingUri = Annotated[Text, AfterValidator(_with_secrets_noted)]
StorageUrl = Annotated[Text, AfterValidator(address.check)]
Function = Annotated[str | Callable[..., Any] | None, PlainValidator(_function), PlainSerializer(reference)]
CallbackMaker = Annotated[str | Callable[..., Any] | None, PlainValidator(_callbacks), PlainSerializer(reference)]
MetricName = Annotated[str | Callable[..., Any] | None, PlainValidator(_metric), PlainSerializer(reference)]
Build = Annotated[Any, PlainValidator(_build)]
ActivationName = Annotated[str | None, _known("activation", ACTIVATIONS)]
TargetName = Annotated[str | None, _known("target", TARGETS)]
Outputs = Annotated[str | None, BeforeValidator(_outputs)]
Parameter = Annotated[Any, AfterValidator(well_formed), AfterValidator(_absent)]
