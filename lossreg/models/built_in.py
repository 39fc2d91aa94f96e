"""The models that need no function of the user's: `mlp` and `cnn`, with options that may be searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lossreg.config.search_space import Space, nearest
from lossreg.contract.params import Choice
from lossreg.errors import InputError, UnknownError, did_you_mean
from lossreg.models import cnn, mlp
from lossreg.models.hyperparameters import Answer, Declared
from lossreg.models.need import Need


class Kind(NamedTuple):
    """A built-in model: its options with their defaults, what is wrong with given ones, and how it is built."""

    options: Mapping[str, Any]
    wrong: Callable[..., dict[str, str]]
    build: Callable[..., Any]


KINDS = {"mlp": Kind(mlp.OPTIONS, mlp.wrong, mlp.build), "cnn": Kind(cnn.OPTIONS, cnn.wrong, cnn.build)}


def maker(name: str, given: Mapping[str, Any]) -> Callable[[Need, Answer], Any]:
    """Return what builds a model with these options, each a value or a search space; raises `InputError`."""
    kind = KINDS[name]
    for option in given:
        if option not in kind.options:
            raise UnknownError(
                f"unknown option {option}; {name} has {', '.join(kind.options)}",
                where=name,
                hint=did_you_mean(option, kind.options),
            )
    options = {**kind.options, **given}
    searched = {name: option for name, option in options.items() if isinstance(option, Space)}
    fixed = {name: kind.options[name] if name in searched else option for name, option in options.items()}
    for option, wrong in kind.wrong(**fixed).items():
        if wrong:
            raise InputError(f"{option} = {fixed[option]!r}: {wrong}", where=name)
    declared = [_option(option, search_space, kind.options[option]) for option, search_space in searched.items()]
    return lambda need, answer: kind.build(need, **fixed | {option.key: answer(option) for option in declared})


def _option(name: str, search_space: Space, default: Any) -> Declared:
    usual = nearest(search_space, default)
    return Declared(name, name, search_space, usual, Choice(name, usual, (usual,)))
