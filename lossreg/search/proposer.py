"""Proposal of trainings: what an Optuna trial suggests becomes a plan."""

from __future__ import annotations

import ast
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import optuna

from lossreg.config import optimization
from lossreg.config.candidates import Candidate
from lossreg.config.search_space import ByCount, Fixed, Options, PerClassRange, Range, Space
from lossreg.contract.params import Int, Param, PerClass, is_static
from lossreg.contract.targets import Constants
from lossreg.search.architectures import Architectures
from lossreg.training.interface import Plan

RATE, OPTIMIZER = "learning_rate", "optimizer"


class MissingLossError(Exception):
    """The sampler chose a candidate whose plugin was removed since the study began."""


@dataclass(frozen=True)
class Proposer:
    """Suggests a loss, its parameters and a learning rate, under the names that users see.

    slugs: the class names as Optuna and MLflow show them (`focal.alpha.malignant`); optimizer: the optimizer's
    name, searched the search spaces of its settings (`optimizer.momentum`), architectures that of batch size and
    model; constants: those of the first fold, whose class counts decide searched weights, the same for all members
    of a trial; every: all candidates that the study has had, if some are missing now, so that Optuna's choice
    stays the same; choices: the same of other parameters, by name; allowed: those choices that may be drawn, of
    parameters that have others too.
    """

    candidates: Mapping[str, Candidate]
    rate: Space
    constants: Constants
    slugs: tuple[str, ...]
    epochs: int
    seed: int
    optimizer: str = "adam"
    searched: Mapping[str, Space] = field(default_factory=dict)
    architectures: Architectures | None = None
    every: tuple[str, ...] = ()
    weights: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    allowed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The candidates in study order."""
        return list(self.candidates)

    def suggest(self, trial: optuna.Trial) -> Plan:
        """Return the plan of a trial; only the chosen loss's parameters are suggested. Raises `MissingLossError`."""
        candidate = trial.suggest_categorical("loss", self.every or self.names)
        if candidate not in self.candidates:
            raise MissingLossError(candidate)
        params = {name: self._suggest(trial, candidate, name) for name in self.candidates[candidate].search_space}
        return self._plan(trial, candidate, params, self._number(trial, RATE, self.rate))

    def repeated(self, candidate: str, params: Mapping[str, Any], loss_params: Mapping[str, Any], rate: float) -> Plan:
        """Return the plan of a trial that was asked for while other ranges held, by its record."""
        with warnings.catch_warnings():
            # FixedTrial warns of values outside the present ranges
            warnings.simplefilter("ignore")
            trial = optuna.trial.FixedTrial({"loss": candidate, **params})
            return self._plan(trial, candidate, loss_params, rate)

    def _plan(self, trial: optuna.trial.BaseTrial, candidate: str, params: Mapping[str, Any], rate: float) -> Plan:
        """Return a plan with these parameters of the loss; those of optimizer and model are suggested."""
        optimizer_settings = {
            name: self._value(trial, f"{OPTIMIZER}.{name}", space) for name, space in self.searched.items()
        }
        architecture = (
            self.architectures.suggest(partial(self._value, trial), self._outputs(candidate))
            if self.architectures
            else None
        )
        loss_params = self.candidates[candidate].spec.bind(params, self.constants.n_classes or None)
        return Plan(candidate, loss_params, rate, self.epochs, self.seed, optimizer_settings, architecture=architecture)

    def _outputs(self, candidate: str) -> int:
        return self.candidates[candidate].spec.width(self.constants.n_classes)

    def row_constants(self, candidate: str) -> dict[str, Any]:
        """Return the constants of the training data that a loss takes; progress is 1, as at the end."""
        needs = self.candidates[candidate].spec.row_constants
        return self.constants.select(needs) | ({"progress": 1.0} if "progress" in needs else {})

    def published(self, key: str) -> tuple[dict[str, Any], list[str]]:
        """Return a loss as published, as Optuna parameters: its defaults, clipped to the study's ranges; and notes.

        A note names each clipped default. The learning rate is the middle of its range, and so is an optimizer
        setting without a default. Hyperparameters of the model are at their defaults.
        """
        candidate, notes = self.candidates[key], []
        values: dict[str, Any] = {RATE: middle(self.rate)} if not isinstance(self.rate, Fixed) else {}
        for name, space in candidate.search_space.items():
            default, clipped = _clip(candidate.spec.param(name), space)
            values |= {f"{key}.{name}{suffix}": value for suffix, value in self._spread(space, default)}
            if clipped:
                notes.append(
                    f"{key}.{name}: published {clipped[0]:g} lies outside the study's range; {default:g} first"
                )
        first = {f"{OPTIMIZER}.{name}": value for name, value in self._first_settings().items()}
        first |= self.architectures.published(self._outputs(key)) if self.architectures else {}
        return values | {name: _token(value) for name, value in first.items()}, notes

    def _first_settings(self) -> dict[str, Any]:
        """Return Keras's defaults of the optimizer's searched parameters, clipped to their ranges, or the middles."""
        return {
            name: _clip(optimization.param(self.optimizer, name), space)[0] for name, space in self.searched.items()
        }

    def variants(self) -> Iterator[Plan]:
        """Yield a plan for every combination of static parameters, with all others in the middle of their range."""
        for key, candidate in self.candidates.items():
            spec, k = candidate.spec, self.constants.n_classes or None
            options = [_static_options(spec.param(name), space, k) for name, space in candidate.search_space.items()]
            architecture = self.architectures.first(self._outputs(key)) if self.architectures else None
            for values in itertools.product(*options):
                loss_params = spec.bind(dict(zip(candidate.search_space, values, strict=True)), k)
                rate, optimizer_settings = middle(self.rate), self._first_settings()
                yield Plan(
                    key, loss_params, rate, self.epochs, self.seed, optimizer_settings, architecture=architecture
                )

    def _suggest(self, trial: optuna.Trial, candidate: str, parameter: str) -> Any:
        space, name = self.candidates[candidate].search_space[parameter], f"{candidate}.{parameter}"
        if isinstance(space, PerClassRange):
            free = {k: trial.suggest_float(f"{name}.{slug}", space.low, space.high, log=space.log)
                    for k, slug in self._free_classes()}  # fmt: skip
            return self._weights(np.array([free.get(k, 1.0) for k in range(len(self.slugs))]))
        if isinstance(space, ByCount):
            tau = trial.suggest_float(f"{name}.tau", space.low, space.high)
            return self._weights(np.maximum(self.constants.class_counts, 1.0) ** -tau)
        return self._value(trial, name, space)

    def _value(self, trial: optuna.trial.BaseTrial, name: str, space: Space) -> Any:
        if isinstance(space, Range) and space.integer:
            return trial.suggest_int(name, int(space.low), int(space.high), log=space.log, step=int(space.step) or 1)
        return self._number(trial, name, space)

    def _number(self, trial: optuna.trial.BaseTrial, name: str, space: Space) -> Any:
        if isinstance(space, Fixed):
            return space.value
        if isinstance(space, Options):
            return self._chosen(trial, name, space)
        assert isinstance(space, Range)
        return trial.suggest_float(name, space.low, space.high, log=space.log, step=space.step or None)

    def _chosen(self, trial: optuna.trial.BaseTrial, name: str, space: Options) -> Any:
        tokens = [_token(choice) for choice in space.choices]
        token = trial.suggest_categorical(name, self.choices.get(name, tokens))
        return space.choices[tokens.index(token)] if token in tokens else _value_of(token)

    def _free_classes(self) -> list[tuple[int, str]]:
        """Return all classes but the most frequent, whose weight is 1: k weights have k - 1 degrees of freedom."""
        fixed = int(np.argmax(self.constants.class_counts))
        return [(k, slug) for k, slug in enumerate(self.slugs) if k != fixed]

    def _weights(self, weights: np.ndarray) -> tuple[float, ...]:
        """Return weights of mean 1 over the training samples, so that they are ratios and no hidden learning rate."""
        return tuple((weights / np.dot(self.constants.class_priors, weights)).tolist())

    def _spread(self, space: Space, default: Any) -> list[tuple[str, Any]]:
        if isinstance(space, Fixed):
            return []
        if isinstance(space, PerClassRange):
            return [(f".{slug}", default) for _, slug in self._free_classes()]
        return [(".tau" if isinstance(space, ByCount) else "", _token(default))]


def _token(choice: Any) -> Any:
    """Return a choice as the storage keeps it: a tuple becomes text, since storage would return it as a list."""
    return str(list(choice)) if isinstance(choice, tuple) else choice


def _value_of(token: Any) -> Any:
    """Return a choice from the form in which the storage keeps it."""
    return tuple(ast.literal_eval(token)) if isinstance(token, str) and token.startswith("[") else token


def middle(space: Space) -> Any:
    """Return the middle of a range, geometric on a log scale; of choices, the one half-way."""
    if isinstance(space, Fixed):
        return space.value
    if isinstance(space, Options):
        return space.choices[(len(space.choices) - 1) // 2]
    if isinstance(space, ByCount):
        return (space.low + space.high) / 2
    return math.sqrt(space.low * space.high) if space.log else (space.low + space.high) / 2


def _clip(param: Param, space: Space) -> tuple[Any, tuple[float, ...]]:
    """Return the default of a parameter inside the space, and, where it was moved, what was published."""
    default: Any = param.default
    if isinstance(space, Options):
        return (default if default in space.choices else middle(space)), ()
    if isinstance(param, PerClass):
        default = param.default_tau if isinstance(space, ByCount) else 1.0
    if isinstance(space, Fixed) or default is None:
        return (middle(space) if default is None else default), ()
    assert isinstance(space, (Range, PerClassRange, ByCount))
    inside = min(max(default, space.low), space.high)
    return inside, (() if inside == default else (float(default),))


def _static_options(param: Param, space: Space, n_classes: int | None) -> list[Any]:
    """Return every value on which the graph depends; one value where it depends on none."""
    if isinstance(param, PerClass):
        return [space.value if isinstance(space, Fixed) else None]
    if isinstance(space, Options) and any(is_static(param, choice) for choice in space.choices):
        return list(space.choices)
    if not isinstance(param, Int):
        return [middle(space)]
    if isinstance(space, Range) and param.static:
        return list(range(int(space.low), int(space.high) + 1))
    return [round(middle(space))]
