"""Stages of a study: its trials up to a change that was allowed, and those after it.

Each change is noted in the study's attributes with what it replaced, so that the model of an earlier trial can still be
built.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lossreg.config import changes
from lossreg.config import study as studies
from lossreg.errors import count_of
from lossreg.search import attributes, choices
from lossreg.search.frozen import BEFORE, openings
from lossreg.search.resumption import LEFT_OUT, Changes
from lossreg.storage.confirmation import KEY as CONFIRMATION
from lossreg.storage.journal_keys import FROZEN
from lossreg.storage.trials import ATTRIBUTE, RETRY_OF

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.search.proposer import Proposer
    from lossreg.storage.study_folder import StudyFolder

REPLACED = ("fingerprint", "spec", "overrides", "losses", "provenance", "spaces", "shapes")


def joined(prepared: Prepared, begun: optuna.Study | None) -> Prepared:
    """Return a study that once changed so that it asks Optuna for choices that its earlier trials have too."""
    changed = prepared.begun
    if begun is None or changed is None or not (changed.accepted or changed.stored.get(attributes.CHANGES)):
        return prepared
    before = choices.of_trials(begun.get_trials(deepcopy=False))
    asked = choices.by_name(choices.asked(prepared.proposer))
    return replace(prepared, proposer=choices.joined(prepared.proposer, before, asked))


def widen(folder: StudyFolder, prepared: Prepared) -> None:
    """Give the trials of a study the choices that later ones have too, where these are more; the lock is held."""
    if prepared.begun is None or not prepared.begun.accepted:
        return
    before = choices.of_trials(folder.read().get_trials(deepcopy=False))
    if choices.needs_more(before, prepared.proposer):
        folder.rewrite(partial(choices.widened, before=before, proposer=prepared.proposer))


def lines(changed: Changes, trials: int) -> list[str]:
    """Return a note for each change that holds for later trials alone."""
    return [f"changed after {count_of(trials, 'trial')}: {change.described}" for change in changed.accepted]


def begin(study: optuna.Study, prepared: Prepared) -> list[str]:
    """Begin a new stage if the study changed; return notes on it.

    Trials that were begun or queued and do not fit are ended before the change is noted, so that a kill in between
    leaves a study that others are queued in.
    """
    changed = prepared.begun
    if changed is None or not changed.accepted:
        return []
    trials = study.get_trials(deepcopy=False)
    number = 1 + max((trial.number for trial in trials if trial.state != TrialState.WAITING), default=-1)
    asked = choices.asked(prepared.proposer)
    for trial in trials:
        if not (trial.state.is_finished() or ATTRIBUTE in trial.user_attrs or _fits(trial, prepared.proposer, asked)):
            study.tell(trial.number, state=TrialState.FAIL)
    notes = lines(changed, number)
    study.set_user_attr(ATTRIBUTE, _changed(study.user_attrs[ATTRIBUTE], prepared, number, notes))
    return notes


def _fits(trial: FrozenTrial, proposer: Proposer, asked: Mapping[str, choices.Distributions]) -> bool:
    """Return whether an interrupted trial can be run again: its parameters are what is asked for now."""
    if trial.state == TrialState.WAITING and RETRY_OF not in trial.user_attrs:
        return False
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    distributions = asked.get(params.get("loss", ""), {})
    return all(choices.allows(proposer, distributions.get(name), name, value) for name, value in params.items())


def _changed(stored: Mapping[str, Any], prepared: Prepared, trials: int, notes: list[str]) -> dict[str, Any]:
    """Return the attributes of a study from its change on; an earlier verdict does not hold for later trials."""
    spec, before = prepared.spec, {name: stored[name] for name in REPLACED if name in stored}
    losses = {name: candidate.spec.name for name, candidate in prepared.candidates.items()}
    change = {"trials": trials, "at": time.time(), "lines": notes, "before": before}
    marks = {**stored["fingerprint"], **_all_marks(stored)}
    return {
        **stored,
        "fingerprint": studies.fingerprint(spec),
        "spec": spec.document(),
        "overrides": list(spec.overrides),
        "losses": {**stored["losses"], **losses},
        "provenance": {
            **stored["provenance"],
            **{name: list(origin) for name, origin in prepared.provenance.items()},
        },
        "spaces": {**stored["spaces"], **prepared.spaces},
        "shapes": prepared.architecture_spaces,
        LEFT_OUT: {name: changes.of_candidate(marks, name) for name in stored["losses"] if name not in losses},
        attributes.CHANGES: [*stored.get(attributes.CHANGES, ()), change],
        "notes": [*stored["notes"], *notes],
        "verdict": None,
        CONFIRMATION: None,
        FROZEN: [],
        BEFORE: openings(stored),
    }  # fmt: skip


def _all_marks(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {key: mark for marks in stored.get(LEFT_OUT, {}).values() for key, mark in marks.items()}
