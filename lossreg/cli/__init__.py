"""The command `lossreg`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from typing import Any

from lossreg.terminal import signals

__all__ = ["main"]
_LAZY = ("app", "authoring", "checking", "inspecting", "listings", "shell", "stores", "studies")


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lossreg.cli import commands

    return getattr(commands, name)


def main() -> None:
    """Run the command that the arguments name: the entry point of the console script."""
    with signals.leaving():
        from lossreg.cli import commands

        commands.main()
