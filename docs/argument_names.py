"""An extension of mkdocstrings: in the reference `loss: a name` becomes **loss**: a name, where loss is an argument."""

from __future__ import annotations

import re
from typing import Any

import griffe


class ArgumentNames(griffe.Extension):
    """Make the arguments of functions and the fields of classes stand out in their docstrings."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mark them in the docstring of an object."""
        if obj.docstring and (obj.is_function or obj.is_class):
            fields = [name for name, member in obj.members.items() if member.is_attribute]
            one = "|".join(["self", *(re.escape(parameter.name) for parameter in obj.parameters), *fields])
            names = re.compile(rf"(?<![\w`\"'])((?:{one})(?:, (?:{one}))*): ")
            obj.docstring.value = names.sub(r"**\1**: ", obj.docstring.value)
