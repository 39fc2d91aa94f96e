"""Optuna's samplers by the names that a study file has for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec
from inspect import isclass, signature
from typing import Any

from optuna.exceptions import OptunaError
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

from lossreg.config.fields import HUB
from lossreg.errors import InputError, LossregError, one_line
from lossreg.runtime import safety

KEY = "search.sampler"
# ended trials from which TPE learns; Optuna's default, given to it below
LEARNS_FROM = 10
MADE: dict[str, Callable[..., BaseSampler]] = {
    "tpe": partial(TPESampler, multivariate=True, n_startup_trials=LEARNS_FROM),
    "random": RandomSampler,
    "gp": partial(GPSampler, warn_independent_sampling=False),
    "cmaes": partial(CmaEsSampler, warn_independent_sampling=False),
}
ANOTHER = 'Take another sampler, such as "tpe".'
# a module, and what brings it
NEEDS = {"gp": ("torch", "torch"), "cmaes": ("cmaes", "lossreg[samplers]"), HUB: ("optunahub", "lossreg[samplers]")}


def maker(kind: str, where: str = KEY) -> Callable[..., BaseSampler]:
    """Return what makes a sampler of this kind from a seed; raises `InputError` where it cannot be had here."""
    is_of_hub = kind.startswith(HUB)
    module, package = NEEDS.get(HUB if is_of_hub else kind, ("optuna", ""))
    if find_spec(module) is None:
        raise InputError(f"{kind} needs {module}, which is not installed", where=where, hint=f'pip install "{package}"')
    if is_of_hub:
        safety.refuse(f"{kind} is code from OptunaHub", where)
    return _of_hub(kind, where) if is_of_hub else MADE[kind]


@cache
def _of_hub(kind: str, where: str) -> Callable[..., BaseSampler]:
    """Return what makes a sampler of OptunaHub, loaded from there or, where it was before, from this machine."""
    import optunahub

    try:
        module = optunahub.load_module(f"samplers/{kind.removeprefix(HUB)}")
    except Exception as error:
        hint = "Is the name one of hub.optuna.org/samplers, and the network there? What was loaded once is kept."
        raise InputError(f"{kind} cannot be loaded ({one_line(error)})", where=where, hint=hint) from error
    offered = [getattr(module, name, None) for name in getattr(module, "__all__", ())]
    samplers = [one for one in offered if isclass(one) and issubclass(one, BaseSampler)]
    if not samplers:
        raise InputError(f"{kind} has no sampler of Optuna in its __all__", where=where)
    if _takes(samplers[0], seed=0):
        return samplers[0]
    if _takes(samplers[0]):
        return lambda seed: samplers[0]()
    what = f"{kind} needs arguments, which a study file cannot give: {samplers[0].__name__}{signature(samplers[0])}"
    raise InputError(what, where=where, hint=ANOTHER)


def _takes(sampler: type[BaseSampler], **arguments: Any) -> bool:
    try:
        signature(sampler).bind(**arguments)
    except TypeError:
        return False
    return True


@contextmanager
def failures_named(kind: str) -> Iterator[None]:
    """Say in one line that a sampler of OptunaHub, the code of others, failed."""
    try:
        yield
    except (LossregError, OptunaError, OSError):
        raise
    except Exception as error:
        if not kind.startswith(HUB):
            raise
        raise LossregError(f"{KEY}: {kind} failed: {one_line(error)}. {ANOTHER}") from error
