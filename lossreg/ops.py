"""`keras.ops`, imported when it is first used: `from lossreg import ops` imports no backend.

So a module of losses can be imported, listed and inspected in milliseconds.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    from keras import ops

    return getattr(ops, name)
