"""The loss that a trial was trained with, as a line of Python: `lossreg.get("focal", gamma=2.0, from_logits=True)`."""

from __future__ import annotations

import io
import itertools
import math
import tokenize
from collections.abc import Mapping
from typing import Any

UNKNOWN = "..."
WIDTH = 100
INDENT = "    "


def literal(value: Any) -> str:
    """Return Python source that evaluates to the same value; tuples as lists, NumPy's numbers as Python's."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, value))}]"
    return f'float("{value}")' if isinstance(value, float) and not math.isfinite(value) else repr(value)


def recipe(loss: str, loss_params: Mapping[str, Any], constants: Mapping[str, Any]) -> str:
    """The call of `lossreg.get` that makes a trial's loss again, for a model that ends in raw scores.

    loss: source of its first argument; loss_params: every parameter; constants: numbers of the training samples,
    None where they are not known, which is shown as `...` and refused by `lossreg.get`.
    """
    arguments = {name: literal(value) for name, value in loss_params.items()}
    arguments |= {name: UNKNOWN if value is None else literal(value) for name, value in constants.items()}
    shown = [f"{name}={source}" for name, source in arguments.items()]
    return f"lossreg.get({', '.join([loss, *shown, 'from_logits=True'])})"


def wrapped(source: str, width: int = WIDTH) -> str:
    """Return a call in one line as the same call in lines of at most `width` characters, broken after commas.

    What has no comma stays whole, however long. Source that cannot be read as Python is returned as it is.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return source
    cuts = [token.end[1] for token in tokens if token.string == ","]
    pieces = [source[start:end] for start, end in itertools.pairwise([0, *cuts, len(source)])]
    lines = [""]
    for piece in pieces:
        if lines[-1].strip() and len(lines[-1] + piece) > width:
            lines.append(INDENT + piece.lstrip())
        else:
            lines[-1] += piece
    return "\n".join(lines)
