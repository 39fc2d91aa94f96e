"""A study as the text of its file, in TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lossreg.errors import SURROGATES
from lossreg.terminal.masking import MASK
from lossreg.terminal.plain_text import UNPRINTABLE

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
MASKED = re.compile(rf"(?=.*{re.escape(MASK)})(?:.*://|{re.escape(MASK)}$|.*={re.escape(MASK)})", re.DOTALL)


def of_study(spec: Mapping[str, Any], name: str) -> str:
    """Return a study as its file could have it, with every key that has a value; none of an address with a password."""
    plain = [f"name = {_value(name)}"]
    tables = []
    for key, value in spec.items():
        if isinstance(value, Mapping):
            lines = [f"{_key(name)} = {_value(one)}" for name, one in value.items() if _is_kept(one)]
            tables.append("\n".join([f"[{_key(key)}]", *lines]))
        elif key != "name" and _is_kept(value):
            plain.append(f"{_key(key)} = {_value(value)}")
    return "\n\n".join(["\n".join(plain), *tables]) + "\n"


def _is_kept(value: Any) -> bool:
    """Tell whether a file can have a value: TOML has no null, and a masked address is of no use."""
    return value is not None and not (isinstance(value, str) and MASKED.match(value))


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(name))} = {_value(one)}" for name, one in value.items() if _is_kept(one))
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(one) for one in value if _is_kept(one))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _text(text: str) -> str:
    """Return text in quotes, odd characters as escapes; surrogates, which TOML cannot have, are replaced."""
    quoted = json.dumps(SURROGATES.sub("\ufffd", text), ensure_ascii=False)
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
