"""A lazy door to `keras.ops`: `from lossreg import ops` imports no backend.

Every attribute is the attribute of `keras.ops` of that name, looked up when it is used, so
that a module of losses can be imported, listed and inspected in milliseconds.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    from keras import ops

    return getattr(ops, name)
