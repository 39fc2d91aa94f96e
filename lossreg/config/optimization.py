"""Optimizers and learning-rate schedules of a study: their names, parameters and values.

Pure Python, so that a study is read without Keras; `lossreg.training.optimizers` and
`lossreg.training.schedules` carry it out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lossreg.config.search_space import Fixed, Options, Range, Space, parse, shown
from lossreg.contract.params import Choice, Float, Int, Param
from lossreg.errors import InputError, count_of, did_you_mean

# A decade or more on both sides of the rate that each optimizer's authors publish. SGD's rate
# multiplies the gradient itself, so it needs the wider range: losses differ in scale.
RATES = {"sgd": (1e-3, 1.0), "adagrad": (1e-3, 0.1), "adadelta": (0.1, 10.0), "ftrl": (1e-3, 0.1), "lion": (1e-5, 1e-3)}
USUAL_RATES = (1e-4, 1e-2)

SWITCHES = ("nesterov", "centered", "amsgrad", "use_ema", "relative_step", "exclude_embeddings")
WHOLE = ("ema_overwrite_frequency", "gradient_accumulation_steps", "ns_steps", "warmup_steps")
COMMON = (
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency",
    "loss_scale_factor", "gradient_accumulation_steps",
)  # fmt: skip
ADAM = ("beta_1", "beta_2", "epsilon")
OPTIMIZERS = {
    "sgd": ("momentum", "nesterov"),
    "rmsprop": ("rho", "momentum", "epsilon", "centered"),
    "adam": (*ADAM, "amsgrad"),
    "adamw": (*ADAM, "amsgrad"),
    "adamax": ADAM,
    "nadam": ADAM,
    "lamb": ADAM,
    "schedulefreeadamw": (*ADAM, "warmup_steps"),
    "lion": ("beta_1", "beta_2"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adadelta": ("rho", "epsilon"),
    "adafactor": ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step"),
    "ftrl": (
        "learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
        "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta",
    ),
    "muon": (
        "adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "exclude_embeddings", "muon_a", "muon_b",
        "muon_c", "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "rms_rate",
    ),
}  # fmt: skip

# Default, search range and domain; a range of one number is none. None is Keras's default where it leaves a part out.
_MOMENTUM, _DECAY, _CLIP = (0.0, 0.0, 0.99, "[0, 1]"), (None, 1e-6, 1e-1, "[0, inf)"), (None, 0.1, 10.0, "(0, inf)")
_BETA, _POSITIVE = (0.8, 0.99, "[0, 1)"), (0.0, 0.0, "[0, inf)")
_NUMBERS: dict[str, tuple[float | None, float, float, str]] = {
    "momentum": _MOMENTUM, "weight_decay": _DECAY, "clipnorm": _CLIP, "clipvalue": _CLIP, "global_clipnorm": _CLIP,
    "beta_1": (0.9, *_BETA), "adam_beta_1": (0.9, *_BETA), "rho": (0.9, *_BETA),
    "beta_2": (0.999, 0.9, 0.9999, "[0, 1)"), "adam_beta_2": (0.999, 0.9, 0.9999, "[0, 1)"),
    "epsilon": (1e-7, 1e-8, 1e-3, "(0, inf)"), "epsilon_1": (1e-30, 0, 0, "(0, inf)"),
    "epsilon_2": (1e-3, 1e-4, 1e-2, "(0, inf)"), "clip_threshold": (1.0, 0.1, 10.0, "(0, inf)"),
    "beta_2_decay": (-0.8, -0.95, -0.5, "(-inf, 0]"), "learning_rate_power": (-0.5, -1.0, 0.0, "(-inf, 0]"),
    "initial_accumulator_value": (0.1, 0, 0, "[0, inf)"), "beta": (0.0, *_POSITIVE),
    "l1_regularization_strength": (0.0, *_POSITIVE), "l2_regularization_strength": (0.0, *_POSITIVE),
    "l2_shrinkage_regularization_strength": (0.0, *_POSITIVE), "adam_weight_decay": (0.004, 1e-6, 1e-1, "[0, inf)"),
    "adam_lr_ratio": (1.0, 0.1, 10.0, "(0, inf)"), "rms_rate": (0.2, 0.05, 1.0, "(0, inf)"),
    "muon_a": (3.4445, 0, 0, "(-inf, inf)"), "muon_b": (-4.775, 0, 0, "(-inf, inf)"),
    "muon_c": (2.0315, 0, 0, "(-inf, inf)"), "ema_momentum": (0.99, 0, 0, "[0, 1]"),
    "loss_scale_factor": (None, 0, 0, "(0, inf)"),
}  # fmt: skip
_LOG = {"weight_decay", "adam_weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "epsilon", "epsilon_2",
        "clip_threshold", "adam_lr_ratio", "rms_rate"}  # fmt: skip
# Defaults of single optimizers that differ from the usual ones.
_DEFAULTS: dict[tuple[str, str], Any] = {
    ("adamw", "weight_decay"): 0.004, ("muon", "weight_decay"): 0.004, ("muon", "momentum"): 0.95,
    ("muon", "nesterov"): True, ("muon", "ns_steps"): 5, ("muon", "exclude_embeddings"): True,
    ("adafactor", "relative_step"): True, ("lion", "beta_2"): 0.99, ("adadelta", "rho"): 0.95,
    ("schedulefreeadamw", "epsilon"): 1e-8, ("schedulefreeadamw", "warmup_steps"): 0,
}  # fmt: skip

# What decides the graph or the start of a training, so that only a few values can stand side by side.
BRANCHES = (*SWITCHES, *WHOLE, "initial_accumulator_value")
NOT_SEARCHED = {
    "use_ema": "it changes what is scored",
    "ema_momentum": "it changes what is scored",
    "ema_overwrite_frequency": "it changes what is scored",
    "loss_scale_factor": "it changes nothing in float32",
}


def param(optimizer: str, name: str) -> Param:
    """Return a setting as a parameter: its default in Keras, its domain, and where one would search."""
    if name in SWITCHES:
        return Choice(name, _DEFAULTS.get((optimizer, name), False), (False, True), fixed=True)
    if name in WHOLE:
        default = _DEFAULTS.get((optimizer, name), 1)
        return Int(name, default, default, default, domain="[0, inf)" if name == "warmup_steps" else "[1, inf)")
    usual, low, high, domain = _NUMBERS[name]
    default = _DEFAULTS.get((optimizer, name), usual)
    return Float(name, default, low, high, name in _LOG, domain, optional=usual is None or name == "rms_rate")


def read(optimizer: str, name: str, raw: Any) -> Space:
    """Return the value or search space that a study gives a parameter of an optimizer; raises `InputError`.

    `raw` is a value, `{low, high[, log]}`, `{choices}`, "default" or "search"; a switch, and what else
    changes the graph, is searched by choices only.
    """
    known = (*OPTIMIZERS[optimizer], *COMMON)
    if name == "learning_rate":
        raise InputError(
            "the learning rate is no setting of the optimizer", where=name, hint="Set train.learning_rate."
        )
    if name not in known:
        what = f"unknown setting; {optimizer} has {', '.join(known)}"
        raise InputError(what, where=str(name), hint=did_you_mean(name, known))
    parameter = param(optimizer, name)
    try:
        _check_form(parameter, raw)
        space = parse(raw, parameter)
        _check_searched(name, space, raw)
    except InputError as error:
        raise error.at(name) from None
    return space


def _check_form(parameter: Param, raw: Any) -> None:
    if isinstance(raw, Mapping):
        if isinstance(parameter, Choice) and "choices" not in raw:
            raise InputError(
                f"{parameter.name} is true or false, and has no range", hint="Write { choices = [true, false] }."
            )
        return
    switch = isinstance(parameter, Choice)
    words = ("default", "search", *(("none",) if parameter.optional else ()))
    number = isinstance(raw, (int, float)) and math.isfinite(raw) and isinstance(raw, bool) == switch
    if not number and raw not in words:
        raise InputError(f"must be {'true or false' if switch else 'a number'}, not {shown(raw)}")
    if raw == "search" and not (isinstance(parameter, Float) and parameter.low < parameter.high):
        ask = "{ choices = [...] }" if parameter.name in BRANCHES else "{ low = ..., high = ... }"
        raise InputError(f"{parameter.name} has no range of its own to search", hint=f"Write {ask}.")


def _check_searched(name: str, space: Space, raw: Any) -> None:
    if isinstance(space, Fixed):
        return
    if name in NOT_SEARCHED:
        raise InputError(f"{name} cannot be searched: {NOT_SEARCHED[name]}", hint="Give one value.")
    if name in BRANCHES and not isinstance(space, Options):
        what = f"{name} changes the graph, so it has no range"
        raise InputError(what, hint="Write { choices = [...] }.")
    if name not in BRANCHES and isinstance(space, Options) and None in space.choices:
        raise InputError(
            f"{name} cannot be there in some trials and absent in others", hint="Leave out the absent one."
        )


def branches(searched: Mapping[str, Space]) -> dict[str, tuple[Any, ...]]:
    """Return the choices of the searched settings that change the graph; `()` for numbers that flow through it."""
    return {
        name: space.choices if name in BRANCHES and isinstance(space, Options) else ()
        for name, space in searched.items()
    }


def ends(searched: Mapping[str, Space]) -> list[dict[str, Any]]:
    """Return the least and the greatest values of searched numbers, each at once; of choices the first and the last."""
    pairs = {
        name: (space.choices[0], space.choices[-1]) if isinstance(space, Options) else (space.low, space.high)
        for name, space in searched.items()
        if isinstance(space, (Options, Range))
    }
    return [{name: pair[i] for name, pair in pairs.items()} for i in range(2)] if pairs else [{}]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A learning-rate schedule: a name of `SCHEDULES` and all its parameters, shares of the training among them."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> Any:
        """Return the form of a study file."""
        changed = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.settings.items()
            if value != _SCHEDULES[self.name][name].default
        }
        return {"name": self.name, **changed} if changed else self.name

    def describe(self) -> str:
        """`cosine, warmup 0.1`."""
        plain = self.plain()
        changed = {} if isinstance(plain, str) else {k: v for k, v in plain.items() if k != "name"}
        return ", ".join((self.name, *(f"{name} {shown(value)}" for name, value in changed.items())))


def _float(name: str, default: float, domain: str) -> Float:
    return Float(name, default, default, default, domain=domain)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A setting that is a list of numbers."""

    name: str
    default: tuple[float, ...]
    domain: str

    def check(self, value: Any) -> tuple[float, ...]:
        """Return the numbers; raises `InputError` where one is outside the domain."""
        if not isinstance(value, (list, tuple)) or not value:
            raise InputError(f"{self.name} must be a list of numbers, not {shown(value)}")
        return tuple(_checked(_float(self.name, 0.0, self.domain), each) for each in value)


def _checked(parameter: Float | Choice | _Numbers, value: Any) -> Any:
    if isinstance(parameter, Float) and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise InputError(f"must be a number, not {shown(value)}")
    if isinstance(parameter, Choice) and not isinstance(value, bool):
        raise InputError(f"must be true or false, not {shown(value)}")
    return parameter.check(value)


_ALPHA, _LENGTH = _float("alpha", 0.0, "[0, 1]"), _float("decay", 1.0, "(0, inf)")
_T_MUL, _M_MUL = _float("t_mul", 1.0, "[1, inf)"), _float("m_mul", 1.0, "(0, inf)")
_STAIRCASE, _END = Choice("staircase", False, (False, True)), _float("end", 0.0, "[0, inf)")
_PARAMETERS: dict[str, tuple[Float | Choice | _Numbers, ...]] = {
    "constant": (),
    "cosine": (_ALPHA, _LENGTH),
    "cosine_restarts": (_float("first_decay", 0.25, "(0, inf)"), _T_MUL, _M_MUL, _ALPHA),
    "exponential": (_float("decay_rate", 0.1, "(0, inf)"), _LENGTH, _STAIRCASE),
    "inverse_time": (_float("decay_rate", 9.0, "(0, inf)"), _LENGTH, _STAIRCASE),
    "linear": (_END, _LENGTH),
    "polynomial": (_END, _float("power", 1.0, "(0, inf)"), _LENGTH, Choice("cycle", False, (False, True))),
    "piecewise": (_Numbers("boundaries", (0.5, 0.75), "(0, 1)"), _Numbers("values", (1.0, 0.1, 0.01), "[0, inf)")),
}  # fmt: skip
_SCHEDULES = {
    name: {parameter.name: parameter for parameter in (*parameters, _float("warmup", 0.0, "[0, 1)"))}
    for name, parameters in _PARAMETERS.items()
}
SCHEDULES = {name: tuple(settings) for name, settings in _SCHEDULES.items()}


def named(raw: Any, kind: str, known: Collection[str], hint: str) -> tuple[str, Mapping[Any, Any]]:
    """Return the name of an optimizer or a schedule, and its table; raises `InputError` for an unknown name.

    raw: a name or a table with a name; kind: what it names; hint: what would work where it is neither.
    """
    table = {"name": raw} if isinstance(raw, str) else raw
    if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
        raise InputError(f"must be a name or a table with a name, not {shown(raw)}", hint=hint)
    name = table["name"].lower()
    if name not in known:
        what = f"unknown {kind} {shown(table['name'])}; known: {', '.join(known)}"
        raise InputError(what, hint=did_you_mean(name, known))
    return name, table


def schedule(raw: Any) -> Schedule | None:
    """Return the schedule that a study asks for by a name or a table with a name; raises `InputError`."""
    if raw is None or isinstance(raw, Schedule):
        return raw
    name, table = named(raw, "schedule", SCHEDULES, 'Write "cosine" or { name = "cosine", warmup = 0.1 }.')
    given = {key: _scheduled(name, key, value) for key, value in table.items() if key != "name"}
    chosen = Schedule(name, {key: parameter.default for key, parameter in _SCHEDULES[name].items()} | given)
    _check_pieces(chosen)
    return chosen


def _scheduled(name: str, key: str, value: Any) -> Any:
    if key not in SCHEDULES[name]:
        what = f"unknown setting; {name} has {', '.join(SCHEDULES[name])}"
        raise InputError(what, where=str(key), hint=did_you_mean(key, SCHEDULES[name]))
    try:
        return _checked(_SCHEDULES[name][key], value)
    except InputError as error:
        raise error.at(key) from None


def _check_pieces(schedule: Schedule) -> None:
    if schedule.name != "piecewise":
        return
    ends, values = schedule.settings["boundaries"], schedule.settings["values"]
    if list(ends) != sorted(set(ends)):
        raise InputError(f"boundaries must rise, not {shown(ends)}", where="boundaries")
    if len(values) != len(ends) + 1:
        what = (
            f"{count_of(len(ends), 'boundary parts', 'boundaries part')} the training into {len(ends) + 1}, and "
            f"{count_of(len(values), 'value is', 'values are')} given"
        )
        raise InputError(what, where="values")
