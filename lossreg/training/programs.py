"""`shared`: what is traced and compiled within it is shared by samples of the same shapes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_kept: ContextVar[dict[Hashable, Any] | None] = ContextVar("kept", default=None)


@contextmanager
def shared() -> Iterator[None]:
    """Keep traced losses, compiled epochs and initial weights, for problems that differ in their samples alone.

    Losses are shared where they are the same object, models where their configurations are equal. Within another such
    context, that one keeps them.
    """
    token = _kept.set({} if (kept := _kept.get()) is None else kept)
    try:
        yield
    finally:
        _kept.reset(token)


def of(key: Callable[[], Hashable], make: Callable[[], Any]) -> Any:
    """Return what was made for an equal key before, made anew where nothing is shared."""
    kept = _kept.get()
    if kept is None:
        return make()
    asked = key()
    if asked not in kept:
        kept[asked] = make()
    return kept[asked]
