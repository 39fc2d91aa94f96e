"""Search of batch size and model hyperparameters: each combination is an architecture with a graph of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from lossreg.config.search_space import Fixed, Options, Range, Space, nearest
from lossreg.errors import InputError, shortened
from lossreg.models.hyperparameters import Answer, Declared, Tree, default
from lossreg.training.interface import Architecture

BATCH_SIZE, MODEL = "batch_size", "model."
USUAL_BATCH = 32
MOST_TRIED = 24  # models built to learn what there is to search
MANY = 24  # values of a hyperparameter from which graphs are hardly ever shared
OR = "; "  # between the ways in which a hyperparameter is declared


class Architectures:
    """Suggests a batch size and a model's hyperparameters, under the names that users see.

    batch_size: choices, or fixed; build: builds the model of raw scores of a width with an `Answer`. A model is
    built once for equal hyperparameters. left_out: keys of hyperparameters that stay at their defaults; rate_of:
    the one of them whose values are the learning rates; compiled_with: values of those left out with which it is so;
    also: what else the model decides, by name in words.
    """

    def __init__(self, batch_size: Space, build: Callable[[int, Answer], Any]) -> None:
        self.batch_size, self._build = batch_size, build
        self._trees: dict[int, Tree] = {}
        self._names: dict[str, str] = {}
        self._first: dict[str, Space] = {}
        self._largest: dict[int, tuple[int, dict[str, Any]]] = {}
        self.left_out: Collection[str] = ()
        self.rate_of = ""
        self.compiled_with: Mapping[str, Any] = {}
        self.also: Mapping[str, str] = {}

    def suggest(self, suggest: Callable[[str, Space], Any], outputs: int) -> Architecture | None:
        """Return the architecture of a trial, each value by `suggest(name, search_space)`; None if nothing is searched.

        Only active hyperparameters are suggested. Where the model cannot be built with the values, those
        suggested so far are kept: the trial fails when it is opened.
        """
        batch_size = self.first_batch if isinstance(self.batch_size, Fixed) else suggest(BATCH_SIZE, self.batch_size)
        values: dict[str, Any] = {}

        def answer(declared: Declared) -> Any:
            values[declared.key] = suggest(self.name(declared), declared.search_space)
            return values[declared.key]

        with suppress(InputError):
            self._walk(outputs, answer)
        return self._architecture(batch_size, values)

    def first(self, outputs: int) -> Architecture | None:
        """Return the architecture that is tried first: every hyperparameter at its default."""
        return self._architecture(self.first_batch, self._walk(outputs, _default))

    def published(self, outputs: int) -> dict[str, Any]:
        """Return the values of the architecture that is tried first, by the names that users see."""
        named = {} if isinstance(self.batch_size, Fixed) else {BATCH_SIZE: self.first_batch}

        def answer(declared: Declared) -> Any:
            named[self.name(declared)] = value = _default(declared)
            return value

        self._walk(outputs, answer)
        return named

    @property
    def first_batch(self) -> int:
        """The fixed batch size, or the one that is tried first."""
        return int(nearest(self.batch_size, USUAL_BATCH))

    def largest(self, outputs: int) -> Architecture | None:
        """Return the largest batch size and the hyperparameters with the most weights among models that were built."""
        batch_size = max(self.batch_size.choices) if isinstance(self.batch_size, Options) else self.first_batch
        values = self._largest.get(outputs, (0, {}))[1]
        return self._architecture(batch_size, {key: values[key] for key in values if key not in self.left_out})

    def name(self, declared: Declared) -> str:
        """Return a hyperparameter's name in Optuna and MLflow: `model.units`, of characters that these accept.

        Declared elsewhere with values of another kind, which Optuna does not take under one name, it is another
        parameter, with its values in its name: `model.units.16-32`.
        """
        first = self._first.setdefault(declared.key, declared.search_space)
        if _kind(first) == _kind(declared.search_space):
            return self._named(declared.key)
        return self._named(f"{declared.key}.{shortened(declared.search_space.describe(), 60)}")

    def _named(self, key: str) -> str:
        if key not in self._names:
            plain = MODEL + re.sub(r"[^\w./-]+", "-", key).strip("-")
            taken = set(self._names.values())
            spare = (f"{plain}-{i}" for i in range(2, len(taken) + 3))
            self._names[key] = plain if plain not in taken else next(name for name in spare if name not in taken)
        return self._names[key]

    def declared(self, outputs: int) -> list[Declared]:
        """Return the hyperparameters that the model declares, one that is declared in several ways in each of them.

        They are collected from models at the defaults and with one value after another changed. Raises
        `InputError` when one of these models cannot be built.
        """
        return [one for one, _ in self.explored(outputs) if one.key not in self.left_out]

    def explored(self, outputs: int) -> list[tuple[Declared, dict[str, Any]]]:
        """Return all that `declared` finds and what it leaves out, each with values of others at which it is active."""
        hyperparameters: dict[tuple[str, str], tuple[Declared, dict[str, Any]]] = {}
        queue: list[dict[str, Any]] = [{}]
        for tried in range(MOST_TRIED):
            if tried >= len(queue):
                break
            changed = queue[tried]
            for one in self._unless_failed(outputs, changed):
                if (way := (one.key, one.describe())) not in hyperparameters:
                    hyperparameters[way] = one, changed
                    self.name(one)
                    queue += [{**changed, one.key: value} for value in ends(one) if value != _default(one)]
        return list(hyperparameters.values())

    def described(self, outputs: int) -> dict[str, str]:
        """Return the search spaces in words, by the names that users see."""
        described = {} if isinstance(self.batch_size, Fixed) else {BATCH_SIZE: self.batch_size.describe()}
        for one in self.declared(outputs):
            name, text = self.name(one), one.describe()
            described[name] = f"{described[name]}{OR}{text}" if name in described else text
        return {**described, **self.also}

    def notes(self, outputs: int) -> list[str]:
        """Return a line for the user on each hyperparameter with so many values that graphs are hardly shared."""
        wide = dict.fromkeys(self.name(one) for one in self.declared(outputs) if _count(one.search_space) > MANY)
        return [
            f"{name} may take many values, and each is a graph of its own, of which 3 MB or so remain: give choices"
            for name in wide
        ]

    def _architecture(self, batch_size: int, values: Mapping[str, Any]) -> Architecture | None:
        if isinstance(self.batch_size, Fixed) and not values:
            return None
        return Architecture(batch_size, tuple(sorted(values.items())))

    def _walk(self, outputs: int, answer: Answer) -> dict[str, Any]:
        """Answer the hyperparameters that are active and not left out, and return their values by key."""

        def searched(declared: Declared) -> Any:
            return _default(declared) if declared.key in self.left_out else answer(declared)

        values = self._tree(outputs).walk(searched)
        return {key: value for key, value in values.items() if key not in self.left_out}

    def _tree(self, outputs: int) -> Tree:
        if outputs not in self._trees:
            self._trees[outputs] = Tree(partial(self._measured, outputs))
        return self._trees[outputs]

    def _measured(self, outputs: int, answer: Answer) -> None:
        """Build a model, and remember its hyperparameters if it is the largest so far."""
        values: dict[str, Any] = {}

        def recorded(declared: Declared) -> Any:
            values[declared.key] = answer(declared)
            return values[declared.key]

        size = self._build(outputs, recorded).count_params()
        if size > self._largest.get(outputs, (-1, {}))[0]:
            self._largest[outputs] = size, values

    def _unless_failed(self, outputs: int, changed: Mapping[str, Any]) -> list[Declared]:
        """Return `_declared_with`; nothing for values at which the model fails its trial, as KerasTuner has it."""
        try:
            return self._declared_with(outputs, changed)
        except InputError as error:
            if changed and type(error.__cause__).__name__ == "FailedTrialError":
                return []
            raise

    def _declared_with(self, outputs: int, changed: Mapping[str, Any]) -> list[Declared]:
        """Return the hyperparameters that are active where some are changed and the others at their defaults."""
        active: list[Declared] = []

        def answer(declared: Declared) -> Any:
            active.append(declared)
            return changed.get(declared.key, _default(declared))

        try:
            self._tree(outputs).walk(answer)
        except InputError as error:
            values = ", ".join(f"{key} = {value}" for key, value in changed.items())
            raise (_at_values(error, values) if values else error) from error.__cause__
        return active


def _at_values(error: InputError, values: str) -> InputError:
    """Return the same mistake with the values at which it shows."""
    return type(error)(f"with {values}: {error.what}", where=error.where, hint=error.hint)


def _default(declared: Declared) -> Any:
    return nearest(declared.search_space, default(declared))


def _kind(search_space: Space) -> Any:
    """Return what Optuna wants to be the same wherever a name is suggested."""
    if isinstance(search_space, Range):
        return search_space.integer, search_space.log
    return search_space


def ends(declared: Declared) -> Iterator[Any]:
    """Yield the values of a hyperparameter at which a model is tried."""
    search_space = declared.search_space
    if isinstance(search_space, Options):
        yield from search_space.choices
    elif isinstance(search_space, Range):
        yield from (search_space.low, search_space.high)


def _count(search_space: Space) -> float:
    """Return the number of values; infinite for a range without steps."""
    if not isinstance(search_space, Range):
        return len(search_space.choices) if isinstance(search_space, Options) else 1
    step = search_space.step or (1 if search_space.integer else 0)
    return (search_space.high - search_space.low) / step + 1 if step else float("inf")
