"""Checks of a resumed study: its losses are still installed, and its data and search spaces are unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lossreg.config import study as studies
from lossreg.config.study import StudySpec
from lossreg.errors import InputError, UnknownError
from lossreg.registry.registry import Registry
from lossreg.search.architectures import OR
from lossreg.terminal.caller import words

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared


def missing(installed: Registry, stored: Mapping[str, Any]) -> dict[str, str]:
    """Return the candidates of a study whose loss is no longer installed, and where each came from, in words."""
    origins = {}
    for candidate, loss in stored.get("losses", {}).items():
        distribution, version = stored["provenance"].get(candidate) or ("", "")
        if distribution and installed.look_up(loss) is None:
            origins[candidate] = f"{distribution} {version}, {_state_of(installed, distribution)}"
    return origins


def _state_of(installed: Registry, distribution: str) -> str:
    reports = [report for report in installed.plugins if report.distribution == distribution]
    refused = next((report.error for report in reports if report.error), "")
    if refused:
        return f"which is refused: {refused}"
    return f"which is installed as {reports[0].version} and lacks it" if reports else "which is not installed"


def require_installed(spec: StudySpec, origins: Mapping[str, str]) -> None:
    """Raise `InputError` for losses that are missing, unless the study is to go on without them."""
    if origins and not spec.plugins.skip_missing:
        what = "; ".join(f"the loss {candidate} came from {origin}" for candidate, origin in origins.items())
        way = words("--set plugins.skip_missing=true", '["plugins.skip_missing=true"] as overrides')
        raise UnknownError(what, where=spec.place(), hint=f"Install it, or go on without: {way}.")


def check(prepared: Prepared, stored: Mapping[str, Any]) -> None:
    """Raise `InputError` unless data, losses and search spaces are those that the study began with."""
    if not stored:
        return
    changes = [*_changes_of_data(prepared, stored), *_changes_of_losses(prepared, stored)]
    if not _is_as_begun(stored.get("shapes", prepared.architecture_spaces), prepared.architecture_spaces):
        changes.append("what is searched of the model")
    if changes:
        what, where = f"changed since the study began: {'; '.join(changes)}", prepared.spec.place()
        raise InputError(what, where=where, hint=studies.start_over())


def _is_as_begun(begun: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether the same is searched of the model; up to 0.3.0 one way to declare a hyperparameter was stored."""
    return begun in (now, {name: text.partition(OR)[0] for name, text in now.items()})


def _changes_of_data(prepared: Prepared, stored: Mapping[str, Any]) -> list[str]:
    before, now = stored["data"].get("digest"), prepared.problem.dataset.digest
    return [f"the data (digest {before} -> {now}), or how they are read"] if before != now else []


def _changes_of_losses(prepared: Prepared, stored: Mapping[str, Any]) -> list[str]:
    changes = []
    begun = {candidate: _renamed(spaces) for candidate, spaces in stored["spaces"].items()}
    for candidate in [candidate for candidate in {**begun, **prepared.spaces} if candidate not in prepared.missing]:
        if candidate not in prepared.spaces:
            origin = " ".join(stored["provenance"].get(candidate, ())) or "the study"
            changes.append(f"the loss {candidate} is missing (it came from {origin})")
        elif begun.get(candidate) != prepared.spaces[candidate]:
            changes.append(f"the ranges of {candidate}")
    return changes


def _renamed(spaces: Mapping[str, str]) -> dict[str, str]:
    """Return search spaces in the words of this version; up to 0.2.0 they had `one a class`."""
    return {name: text.replace("one a class", "one per class") for name, text in spaces.items()}
