"""Hyperparameters that feed only `compile()`, which a study ignores: they are no part of an architecture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from lossreg.config.search_space import Fixed, Options, Range, Space
from lossreg.errors import InputError
from lossreg.models.compiled import Compiled
from lossreg.models.hyperparameters import Answer, Declared, given
from lossreg.search.architectures import Architectures, ends
from lossreg.search.proposer import RATE

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.training.interface import Problem

Values = Mapping[str, Any]
Build = Callable[[Values], Compiled | None]


class Feed(NamedTuple):
    """The arguments of `compile()` that a hyperparameter gives.

    rates: the learning rates of the study's optimizer, where its values are these; optimizer: the other optimizer whose
    learning rate it is; others: the values of others with which it is so.
    """

    rates: Space | None
    optimizer: str
    others: Values


def leave_out(
    spec: StudySpec, problem: Problem, architectures: Architectures, begun: Mapping[str, Any]
) -> tuple[Space | None, list[str]]:
    """Leave out hyperparameters that feed only compile(), and return the learning rates that one gives, and notes.

    begun: the attributes of a resumed study, which goes on with what it searches. A learning rate of the study takes
    precedence.
    """
    if not problem.builder.is_own:
        return None, []
    dataset, width = problem.dataset, problem.outputs(next(iter(problem.losses)))
    builder = problem.builder.freed()

    def build(answer: Answer) -> Any:
        return builder.compiled(dataset.input_shape, width, dataset.n_classes, spec.search.seed, answer)

    explored, searched = architectures.explored(width), begun.get("shapes", ())
    fixed = [] if begun and RATE not in searched else _fixed(spec.model.hp, explored, build)
    feeds = compile_feeds(
        [*explored, *fixed], lambda values: build(given(values)), problem.optimizer, {one.key for one, _ in fixed}
    )
    kept = {one.key for one, _ in explored if architectures.name(one) in searched}
    feeds = {key: feed for key, feed in feeds.items() if key not in kept}
    key = "" if _gives_rate(spec, begun) else next((key for key, feed in feeds.items() if feed.rates), "")
    rate = feeds[key].rates if key else None
    architectures.left_out, architectures.rate_of = frozenset(feeds), "" if isinstance(rate, Fixed) else key
    architectures.compiled_with = (
        {other: value for other, value in feeds[key].others.items() if other in feeds} if key else {}
    )
    architectures.also = {RATE: rate.describe()} if rate else {}
    return rate, notes(problem.builder.name, feeds, key, problem.optimizer)


def compile_feeds(
    declared: Sequence[tuple[Declared, Values]], build: Build, optimizer: str, fixed: AbstractSet[str] = frozenset()
) -> dict[str, Feed]:
    """Return the hyperparameters that feed only `compile()`, by key.

    declared: each with values of others at which it is active; build: returns how the model with these values, and
    others at their defaults, is compiled; optimizer: of the study; fixed: keys of those that it leaves at their
    defaults. Two models that differ in one hyperparameter alone are equal, however the others are set, and are compiled
    differently.
    """
    compiled = _Builds(build)
    if not declared or compiled.model({}) is None:
        return {}
    far = {one.key: values[-1] for one, _ in declared if one.key not in fixed and (values := [*ends(one)])}
    feeds: dict[str, Feed] = {}
    for one, changed in declared:
        models = compiled.far_apart(one, changed)
        if len(models) > 1 and _are_equal(models) and len({model[1:] for model in models if model}) > 1:
            others = compiled.far_apart(one, {**far, **changed})
            every = [compiled.model({**changed, one.key: value}) for value in ends(one)]
            if _are_equal(every) and (None in others or _are_equal(others)):
                feeds[one.key] = _feed(one, changed, compiled, optimizer, is_fixed=one.key in fixed)
    for one, changed in declared:
        if one.key in feeds and feeds[one.key].optimizer:  # the model may have the study's under another choice
            choices = [other for other, _ in declared if other.key in feeds.keys() - fixed - {one.key}]
            tried = ({**changed, other.key: value} for other in choices for value in ends(other))
            under = (_feed(one, values, compiled, optimizer, is_fixed=one.key in fixed) for values in tried)
            feeds[one.key] = next((feed for feed in under if feed.rates), feeds[one.key])
    return feeds


def notes(model: str, feeds: Mapping[str, Feed], key: str, optimizer: str) -> list[str]:
    """Return lines for the user on the result of `compile_feeds`; key: the hyperparameter that gives learning rates."""
    lines, others = [], ", ".join(other for other in feeds if other != key)
    if key and (rates := feeds[key].rates):
        taken = (
            f"the learning rate is {rates.value:g}" if isinstance(rates, Fixed)
            else f"its values, {rates.describe()}, are the learning rates"
        )  # fmt: skip
        lines.append(f"{model}: {key} feeds only compile(): {taken}")
    foreign = {other: feed.optimizer for other, feed in feeds.items() if feed.optimizer and not key}
    lines += [
        f"{model}: {other} is the learning rate of {name}, and the study trains with {optimizer}, at rates of its own"
        for other, name in foreign.items()
    ]
    if others:
        lines.append(f"{model}: not searched, because it feeds only the ignored compile(): {others}")
    return lines


def _fixed(
    hp: Any, explored: Sequence[tuple[Declared, Values]], build: Callable[[Answer], Any]
) -> list[tuple[Declared, Values]]:
    """Return the hyperparameters that a study fixes, each with values of others at which it is active.

    build: builds a model that asks for these too.
    """
    known, fixed = {one.key for one, _ in explored}, dict[str, tuple[Declared, Values]]()
    for changed in [{}, *({one.key: value} for one, _ in explored for value in ends(one))]:
        if not isinstance(hp, Mapping) or hp.keys() <= known | fixed.keys():
            break

        def answer(declared: Declared, changed: Mapping[str, Any] = changed) -> Any:
            if declared.key not in known:
                fixed.setdefault(declared.key, (declared, changed))
            return changed.get(declared.key, declared.default)

        with suppress(InputError):
            build(answer)
    return list(fixed.values())


def _gives_rate(spec: StudySpec, begun: Mapping[str, Any]) -> bool:
    """Return whether a study names a learning rate itself: one that was begun has it in its document in any case."""
    is_as_begun = begun.get("fingerprint", {}).get("train.learning_rate") == spec.train.learning_rate.plain()
    is_taken = is_as_begun and RATE in begun.get("shapes", ())
    return "learning_rate" in spec.train.model_fields_set and not is_taken


class _Builds:
    """Models by their values, each built once; None for values that do not go together."""

    def __init__(self, build: Build) -> None:
        self._build, self._known = build, dict[tuple[tuple[str, Any], ...], Compiled | None]()

    def far_apart(self, declared: Declared, values: Values) -> list[Compiled | None]:
        """Return the models at the first and the last end of a hyperparameter's values, one where there is one."""
        every = [*ends(declared)]
        return [self.model({**values, declared.key: value}) for value in dict.fromkeys((*every[:1], *every[-1:]))]

    def model(self, values: Values) -> Compiled | None:
        """Return the model with these values and others at their defaults."""
        key = tuple(sorted(values.items()))
        if key not in self._known:
            self._known[key] = None
            with suppress(InputError):
                self._known[key] = self._build(values)
        return self._known[key]


def _are_equal(models: Sequence[Compiled | None]) -> bool:
    return None not in models and len({model.architecture for model in models if model}) == 1


def _feed(declared: Declared, others: Values, compiled: _Builds, optimizer: str, *, is_fixed: bool) -> Feed:
    """Return what a hyperparameter gives `compile()`, where the others have these values.

    Keras keeps learning rates in single precision: where they are the hyperparameter's values, these are taken.
    """
    space, values = declared.search_space, [*ends(declared)]
    models = [model for value in values if (model := compiled.model({**others, declared.key: value})) and model.rate]
    is_rate = len({model.settings for model in models}) == 1 < len({model.rate for model in models})
    if len(models) < len(values) or not is_rate:
        return Feed(None, "", others)
    if models[0].optimizer != optimizer:
        return Feed(None, models[0].optimizer, others)
    if is_fixed:
        one = compiled.model(others)
        return Feed(Fixed(_rate(declared.default, one.rate)) if one and one.rate else None, "", others)
    if not all(_is_close(value, model.rate) for value, model in zip(values, models, strict=True)):
        return Feed(None, "", others)
    if isinstance(space, Range):
        return Feed(Range(float(space.low), float(space.high), space.log, step=space.step), "", others)
    return Feed(Options(tuple(map(float, values))), "", others)


def _rate(value: Any, rate: float) -> float:
    return float(value) if _is_close(value, rate) else float(f"{rate:.6g}")


def _is_close(value: Any, rate: float | None) -> bool:
    return isinstance(value, (int, float)) and rate is not None and math.isclose(value, rate, rel_tol=1e-6)
