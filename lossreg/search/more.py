"""Trials that are added to a study without a change of its file: `lossreg tune STUDY --more 64`."""

from __future__ import annotations

from typing import Any

import optuna

from lossreg.config import study as studies
from lossreg.config.fields import MOST_COUNT
from lossreg.config.study import StudySpec
from lossreg.errors import InputError, count_of, represented
from lossreg.search.frozen import openings
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE
from lossreg.terminal.caller import words

# attribute of a study with the number of trials that it was given in this way
NUMBER = "lossreg:trials"
ASKED = ("--more", "more")
KEY = "search.trials"


def check(more: Any) -> None:
    """Raise `InputError` unless it is None or a number of trials."""
    is_number = isinstance(more, int) and not isinstance(more, bool) and 1 <= more <= MOST_COUNT
    if more is not None and not is_number:
        what = f"must be a whole number of trials from 1 on, not {represented(more)}"
        raise InputError(what, where=words(*ASKED), hint=f"Such as {words('--more 64', 'more=64')}.")


def extended(spec: StudySpec, folder: StudyFolder, more: int | None = None) -> StudySpec:
    """Return a study with the trials that were added to it, and so many `more`.

    Without more a number in an override holds. Raises `InputError` where more are to be added to a study that was
    never run.
    """
    begun = folder.peek()
    if begun is None:
        if more:
            raise InputError(
                f"study {spec.name!r} was never run, so there is nothing to add trials to", where=words(*ASKED),
                hint=f"Leave it out: the study has {spec.search.trials} trials; search.trials is their number.",
            )  # fmt: skip
        return spec
    number = max(spec.search.trials, noted(begun), folder.ended(begun)) + more if more else noted(begun)
    if number <= spec.search.trials or (not more and spec.is_overridden(KEY)):
        return spec
    if number > MOST_COUNT:
        raise InputError(f"the study would have {number:,} trials, and may have {MOST_COUNT:,}", where=words(*ASKED))
    return studies.of(spec, [f"{KEY}={number}"])


def noted(begun: optuna.Study | None) -> int:
    """Return the number of trials to which a study was extended; 0 for one that was not."""
    number = begun.user_attrs.get(NUMBER) if begun else 0
    return number if isinstance(number, int) else 0


def overrides(begun: optuna.Study) -> list[str]:
    """Return the override that gives another study the trials which were added to this one."""
    return [f"{KEY}={number}"] if (number := noted(begun)) else []


def note_anew(trials: int) -> list[str]:
    """Return a note for a study that begins anew with as many trials as were asked of its former run."""
    return [f"{count_of(trials, 'trial')} in all, as asked of the former run with {words(*ASKED)}"] if trials else []


def require_kept(more: int | None) -> None:
    """Raise `InputError` where trials are added to a study whose former trials a change keeps apart."""
    if more:
        what = "adds trials to those that there are, and the study has changed so that they are kept apart"
        raise InputError(what, where=words(*ASKED), hint="Leave one of the two out.")


def note(begun: optuna.Study | None, spec: StudySpec, more: int | None) -> list[str]:
    """Return what adding trials means for a study and its verdict; nothing where none are added."""
    if not more or begun is None:
        return []
    stored = begun.user_attrs.get(ATTRIBUTE, {})
    looks = openings(stored)
    after = (
        f"; a verdict after them is exploratory, since the test rows were looked at before ({count_of(looks, 'time')})"
        if looks and spec.has_verdict
        else ""
    )
    return [f"{count_of(more, 'trial')} added, {spec.search.trials:,} in all{after}"]


def require_searched(more: int | None, *, is_searched: bool) -> None:
    """Raise `InputError` where trials are added to a study in which each loss is trained once."""
    if more and not is_searched:
        what = "no parameter of this study is searched, so each loss is trained once, and more trials would be the same"
        raise InputError(what, where=words(*ASKED), hint='Search a parameter, such as gamma = "search".')
