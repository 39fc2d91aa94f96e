"""What a study searches of a model and of the batch size: each value makes a graph of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lossreg.config.search_space import Fixed, Options, Range, Space, nearest
from lossreg.errors import InputError
from lossreg.models.hyperparameters import Answer, Declared, Tree, default
from lossreg.training.interface import Shape

BATCH_SIZE, MODEL = "batch_size", "model."
USUAL_BATCH = 32
MOST_TRIED = 24  # models built to see what there is to search
MANY = 24  # values of a hyperparameter from which graphs are hardly ever shared


@dataclass(frozen=True)
class Shapes:
    """Suggests a batch size and a model's hyperparameters, under the names that users see.

    batch_size: choices, or fixed; build: builds the model of raw scores of some width with an `Answer`.
    """

    batch_size: Space
    build: Callable[[int, Answer], Any]
    _trees: dict[int, Tree] = field(default_factory=dict, compare=False, repr=False)
    _names: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    _largest: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict, compare=False, repr=False)

    def suggest(self, suggest: Callable[[str, Space], Any], outputs: int) -> Shape | None:
        """The shape of a trial, each value by `suggest(name, space)`; None where nothing is searched.

        Only active hyperparameters are suggested. Where the model cannot be built with the values, they are
        kept as far as they were suggested: the trial will fail as it is opened.
        """
        batch_size = self.usual_batch if isinstance(self.batch_size, Fixed) else suggest(BATCH_SIZE, self.batch_size)
        values: dict[str, Any] = {}

        def answer(declared: Declared) -> Any:
            values[declared.key] = suggest(self.name(declared.key), declared.space)
            return values[declared.key]

        with suppress(InputError):
            self._tree(outputs).walk(answer)
        return self._shape(batch_size, values)

    def usual(self, outputs: int) -> Shape | None:
        """The shape that is tried first: every hyperparameter at its default."""
        values = self._tree(outputs).walk(_nearest)
        return self._shape(self.usual_batch, values)

    def published(self, outputs: int) -> dict[str, Any]:
        """The values of the shape that is tried first, by the names that users see."""
        batch = {} if isinstance(self.batch_size, Fixed) else {BATCH_SIZE: self.usual_batch}
        return batch | {self.name(key): value for key, value in self._tree(outputs).walk(_nearest).items()}

    @property
    def usual_batch(self) -> int:
        """The fixed batch size, or the one that is tried first."""
        return int(nearest(self.batch_size, USUAL_BATCH))

    def largest(self, outputs: int) -> Shape | None:
        """The shape with the most weights and rows a batch among those of models that were built."""
        most = max(self.batch_size.choices) if isinstance(self.batch_size, Options) else self.usual_batch
        return self._shape(most, self._largest.get(outputs, (0, {}))[1])

    def name(self, key: str) -> str:
        """A hyperparameter's name in Optuna and MLflow: `model.units`, with nothing in it that these refuse."""
        if key not in self._names:
            plain = MODEL + re.sub(r"[^\w./-]+", "-", key).strip("-")
            taken = set(self._names.values())
            spare = (f"{plain}-{i}" for i in range(2, len(taken) + 3))
            self._names[key] = plain if plain not in taken else next(name for name in spare if name not in taken)
        return self._names[key]

    def found(self, outputs: int) -> dict[str, Declared]:
        """What the model declares, by key: at the defaults, and with one value after another changed.

        Raises `InputError` when one of these models cannot be built.
        """
        found: dict[str, Declared] = {}
        queue: list[dict[str, Any]] = [{}]
        for tried in range(MOST_TRIED):
            if tried >= len(queue):
                break
            changed = queue[tried]
            for one in self._declared(outputs, changed):
                if one.key not in found:
                    found[one.key] = one
                    queue += [{**changed, one.key: value} for value in _ends(one) if value != _nearest(one)]
        return found

    def described(self, outputs: int) -> dict[str, str]:
        """What is searched, by the names that users see, in words."""
        batch = {} if isinstance(self.batch_size, Fixed) else {BATCH_SIZE: self.batch_size.describe()}
        return batch | {self.name(key): one.describe() for key, one in self.found(outputs).items()}

    def notes(self, outputs: int) -> list[str]:
        """What a user should know of the ranges."""
        wide = [self.name(key) for key, one in self.found(outputs).items() if _count(one.space) > MANY]
        return [
            f"{name} may take many values, and each is a graph of its own, of which 3 MB or so remain: give choices"
            for name in wide
        ]

    def _shape(self, batch_size: int, values: Mapping[str, Any]) -> Shape | None:
        if isinstance(self.batch_size, Fixed) and not values:
            return None
        return Shape(batch_size, tuple(sorted(values.items())))

    def _tree(self, outputs: int) -> Tree:
        if outputs not in self._trees:
            self._trees[outputs] = Tree(partial(self._built, outputs))
        return self._trees[outputs]

    def _built(self, outputs: int, answer: Answer) -> None:
        values: dict[str, Any] = {}

        def noted(declared: Declared) -> Any:
            values[declared.key] = answer(declared)
            return values[declared.key]

        size = self.build(outputs, noted).count_params()
        if size > self._largest.get(outputs, (-1, {}))[0]:
            self._largest[outputs] = size, values

    def _declared(self, outputs: int, changed: Mapping[str, Any]) -> list[Declared]:
        seen: list[Declared] = []

        def answer(declared: Declared) -> Any:
            seen.append(declared)
            return changed.get(declared.key, _nearest(declared))

        try:
            self._tree(outputs).walk(answer)
        except InputError as error:
            said = ", ".join(f"{key} = {value}" for key, value in changed.items())
            raise (_at_values(error, said) if said else error) from error.__cause__
        return seen


def _at_values(error: InputError, said: str) -> InputError:
    """The same mistake, with the values at which it shows."""
    return type(error)(f"with {said}: {error.what}", where=error.where, hint=error.hint)


def _nearest(declared: Declared) -> Any:
    return nearest(declared.space, default(declared))


def _ends(declared: Declared) -> Iterator[Any]:
    """The values at which a model is tried."""
    space = declared.space
    if isinstance(space, Options):
        yield from space.choices
    elif isinstance(space, Range):
        yield from (space.low, space.high)


def _count(space: Space) -> float:
    if not isinstance(space, Range):
        return len(getattr(space, "choices", "1"))
    step = space.step or (1 if space.integer else 0)
    return (space.high - space.low) / step + 1 if step else float("inf")
