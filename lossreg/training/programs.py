"""`shared`: what is traced and compiled within it is shared by samples of the same shapes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Kept = dict[Hashable, Any]
_kept: ContextVar[tuple[Kept, Kept] | None] = ContextVar("kept", default=None)  # traced losses, and all else


@contextmanager
def shared(losses: Kept | None = None) -> Iterator[None]:
    """Keep traced losses, compiled epochs and initial weights, for problems that differ in their samples alone.

    Losses are shared where they are the same object, models where their configurations are equal. Within another such
    context, that one keeps them. losses: where traced losses are kept, which several such contexts may share.
    """
    token = _kept.set(_kept.get() or ({} if losses is None else losses, {}))
    try:
        yield
    finally:
        _kept.reset(token)


def of(key: Callable[[], Hashable], make: Callable[[], Any]) -> Any:
    """Return what was made for an equal key before, made anew where nothing is shared."""
    return _shared(key, make, 1)


def of_loss(key: Callable[[], Hashable], make: Callable[[], Any]) -> Any:
    """Return the traced loss that was made for an equal key before, made anew where nothing is shared."""
    return _shared(key, make, 0)


def _shared(key: Callable[[], Hashable], make: Callable[[], Any], which: int) -> Any:
    if (stores := _kept.get()) is None:
        return make()
    kept, asked = stores[which], key()
    if asked not in kept:
        kept[asked] = make()
    return kept[asked]
