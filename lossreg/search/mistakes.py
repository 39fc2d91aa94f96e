"""Mistakes that are found while a study is prepared, with the key of the study file where each is."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lossreg.config.study import StudySpec
from lossreg.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")


def located(spec: StudySpec, key: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `work`; raises its `InputError` with the key of the study file where the mistake is."""
    try:
        return work(*args, **kwargs)
    except InputError as error:
        raise error if error.where.startswith(spec.origin) and spec.origin else error.at(spec.place(key)) from error
