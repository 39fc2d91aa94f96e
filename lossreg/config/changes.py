"""Changes of a study between two of its runs: for each key, whether the trials before and after belong together.

They do where scores stay comparable: the same data, model and metric, and a trial that is trained and scored as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lossreg.config import study as studies
from lossreg.config.study import StudySpec
from lossreg.errors import InputError
from lossreg.terminal.caller import words

ALLOW = ("--allow-changed", "allow_changed=True")
ALLOWED = re.compile(r" \(allow_changed=True [^)]*\)")


class Effect(StrEnum):
    """The effect of a change on a study that has trials: none, it holds for later trials, or these are kept apart."""

    NONE = "none"
    LATER = "later"
    APART = "apart"


# by the longest key or section that fits
EFFECTS: dict[str, tuple[Effect, str]] = {
    "name": (Effect.NONE, "another name is another study"),
    "data": (Effect.APART, "scores on other data cannot be compared"),
    "data.positive": (Effect.APART, "scores of another positive class cannot be compared"),
    **dict.fromkeys(("data.group", "data.time", "data.split"), (Effect.APART, "rows are split in another way")),
    "data.exposure": (Effect.APART, "scores with another exposure cannot be compared"),
    "data.noise": (Effect.APART, "scores with other labels cannot be compared"),
    "model": (Effect.APART, "scores of another model cannot be compared"),
    "model.start": (Effect.APART, "trials that begin from other weights cannot be compared"),
    "train": (Effect.APART, "trials that were trained in another way cannot be compared"),
    "train.epochs": (Effect.LATER, "later trials are trained so"),
    "train.learning_rate": (Effect.LATER, "later trials draw from it"),
    "train.early_stopping": (Effect.LATER, "later trials end so"),
    "search.trials": (Effect.NONE, "more trials are added"),
    "search.minutes": (Effect.NONE, "the time of the next run"),
    "search.lanes": (Effect.NONE, "a study keeps the number it began with, or takes a smaller one"),
    "search.trainer": (Effect.NONE, "both trainers train the same"),
    "search.keep": (Effect.NONE, "the weights of later trials"),
    "search.sampler": (Effect.LATER, "later trials are chosen so"),
    "search.pruner": (Effect.LATER, "later trials are ended so"),
    "search.metric": (Effect.APART, "scores of another metric cannot be compared"),
    "search.metrics": (Effect.APART, "trials have no values of other metrics"),
    "search.direction": (Effect.APART, "scores of another metric cannot be compared"),
    "search.predictions": (Effect.APART, "scores of another metric cannot be compared"),
    "search.seed": (Effect.APART, "rows are split in another way"),
    "search.seeds": (Effect.APART, "a score is the mean of another number of trainings"),
    "search.score_epoch": (Effect.APART, "the score is that of another epoch"),
    "search.decision": (Effect.APART, "scores with other decisions cannot be compared"),
    "search.constraints": (Effect.APART, "trials were chosen by other constraints, or have no values of these metrics"),
    "search.confirm": (Effect.NONE, "settings are confirmed again"),
    "losses": (Effect.LATER, "later trials draw from it"),
    "verdict": (Effect.NONE, "it is reached again"),
    "tracking": (Effect.NONE, "the store is brought up to date"),
    "storage": (Effect.NONE, "the trials are looked for where they are"),
    "plugins": (Effect.NONE, "it decides what happens when a loss is missing"),
}
# what identifies the loss of a candidate; every other key of its table is a parameter
IDENTITY = ("loss", "function", "activation", "target", "outputs")
NOTHING: Mapping[str, Any] = {}
ANOTHER_LOSS = "the candidate is another loss now: give it another name"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between a study as it began and as it is now, in words, and what it does to the study."""

    what: str
    effect: Effect
    reason: str
    key: str = ""

    @property
    def described(self) -> str:
        """The change and the reason for its effect."""
        return f"{self.what} ({self.reason})"

    def __str__(self) -> str:
        way = "goes on" if self.effect == Effect.LATER else "keeps the former trials apart"
        return f"{self.what} ({words(*ALLOW)} {way}: {self.reason})"


def effect_of(key: str) -> tuple[Effect, str]:
    """Return what a change of a dotted key does, and why."""
    parts = key.split(".")
    fitting = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(EFFECTS[name] for name in fitting if name in EFFECTS)


def of(old: Mapping[str, Any], new: Mapping[str, Any], left_out: Mapping[str, Any] = NOTHING) -> list[Change]:
    """Return the changes between two fingerprints of a study, each with its effect.

    left_out: the marks of candidates that the study once had.
    """
    begun = studies.with_present_names(old)
    differences = [_change(line, key, {**left_out, **begun}, new) for key, line in studies.changed(begun, new).items()]
    # a line for a candidate that comes or goes, not one for each of its keys
    return list({change.what: change for change in differences}.values())


def of_candidate(marks: Mapping[str, Any], candidate: str) -> dict[str, Any]:
    """Return those marks of a fingerprint that are of a candidate."""
    return _of_table(marks, f"losses.{candidate}")


def _of_table(marks: Mapping[str, Any], table: str) -> dict[str, Any]:
    return {key: value for key, value in marks.items() if key.rpartition(".")[0] == table}


def _change(line: str, key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    effect, reason = effect_of(key)
    table, _, name = key.rpartition(".")
    is_before, is_now = (table.startswith("losses.") and bool(_of_table(marks, table)) for marks in (old, new))
    if is_before and is_now and name in IDENTITY and old.get(key) != new.get(key):
        return Change(line, Effect.APART, ANOTHER_LOSS, key)
    if is_before != is_now:
        what, reason = ("a new candidate", "later trials try it too") if is_now else ("left out", "its trials stay")
        return Change(f"{table}: {what}", effect, reason, key)
    if effect == Effect.APART and key in old and key in new and is_narrower(new[key], old[key]):
        return Change(line, Effect.LATER, "it is searched within the former values", key)
    return Change(line, effect, reason, key)


def is_narrower(new: Any, old: Any) -> bool:
    """Return whether what a key searches now lies within what it searched: both as a study file has them.

    One of several in a table may be narrower while the others are equal.
    """
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or old.keys() != new.keys():
        return False
    if "choices" in old:
        return all(choice in old["choices"] for choice in new["choices"])
    if "low" in old:
        is_inside = bool(old["low"] <= new["low"] <= new["high"] <= old["high"])
        return is_inside and all(old[key] == new[key] for key in old.keys() - {"low", "high"})
    return all(old[key] == new[key] or is_narrower(new[key], old[key]) for key in old)


def refusal(changes: Iterable[Change], spec: StudySpec) -> InputError:
    """Return the error for a study that has changed, with a line for each change; one that is shared cannot go on."""
    is_shared = spec.storage.url is not None
    lines = [change.what if is_shared else str(change) for change in changes]
    listing = f" {lines[0]}" if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)
    way, fresh = words(*ALLOW), words("--fresh", "fresh=True")
    others = "or take another database" if is_shared else f"add {way}, or start over with {fresh}"
    hint = f"Take the change back, give the study another name, {others}."
    hint = hint if len(lines) == 1 else f"\n{hint}"
    return InputError(f"the study has been run with other values:{listing}", where=spec.place(), hint=hint)


@contextmanager
def with_ways(hint: str) -> Iterator[None]:
    """Name these ways to go on with a study that has changed, in place of those of `tune`, which a caller lacks."""
    try:
        yield
    except InputError as error:
        if ALLOW[1] not in error.hint:
            raise
        raise InputError(ALLOWED.sub("", error.what), where=error.where, hint=hint) from error
