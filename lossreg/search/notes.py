"""Lines that tell the user of a run how the study is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lossreg.data.parts import VALIDATION
from lossreg.errors import count_of
from lossreg.search import sizing
from lossreg.search.sampler import one_wave_note, undirected_note, untried_note
from lossreg.storage.study_result import StudyResult

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared
    from lossreg.training.pool import Pool


def of_study(prepared: Prepared, lanes: int) -> list[str]:
    """Return the notes of preparation, and those on trials and models that the user may not expect.

    lanes: those that are trained at a time.
    """
    clipped = [note for _, notes in prepared.published.values() for note in notes]
    learns = prepared.is_searched and prepared.spec.search.sampler != "random"
    start = {candidate: params for candidate, (params, _) in prepared.published.items()}
    untried = untried_note(start, prepared.trials)
    undirected = undirected_note(start, prepared.trials) if learns else ""
    wave = one_wave_note(start, prepared.trials, lanes, sizing.members(prepared)) if learns else ""
    is_capped = prepared.trials != prepared.spec.search.trials
    once = (
        f"no parameter is searched, so each loss is trained once: {count_of(prepared.trials, 'trial')}"
        if is_capped
        else ""
    )
    on_members = [_members(prepared), _mixed(prepared)]
    return [*prepared.notes, *clipped, *filter(None, [once, untried, undirected, wave, *on_members])]


def _mixed(prepared: Prepared) -> str:
    """Say that validation rows which are given are mixed with others where settings are confirmed."""
    rows = prepared.problem.dataset.loaded
    if not prepared.spec.search.confirm or rows is None or not rows.layout.has(VALIDATION):
        return ""
    return (
        "the validation rows that you give decide in the search; the fresh splits on which settings are confirmed mix "
        "them with the training rows. search.confirm = 0 ranks losses by your validation rows alone"
    )


def _members(prepared: Prepared) -> str:
    """Say which of the models of a trial is kept, where it has several."""
    folds, seeds = len(prepared.problem.folds), prepared.spec.search.seeds
    first = " and ".join(["the first fold"] * (folds > 1) + ["the first seed"] * (seeds > 1))
    return f"a trial is trained {folds * seeds} times; its model is that of {first}" if first else ""


def changed_origins(prepared: Prepared, stored: Mapping[str, Any]) -> list[str]:
    """Name the losses that another distribution or version offers than when the study began."""
    before, lines = stored["provenance"], []
    for candidate, now in prepared.provenance.items():
        if candidate in before and tuple(before[candidate]) != now:
            was = " ".join(before[candidate]) or "the study's own"
            lines.append(f"{candidate} came from {was} when the study began, and comes from {' '.join(now)} now")
    return lines


def of_trainers(prepared: Prepared, pool: Pool) -> list[str]:
    """Say which losses are not trained in a population, and why."""
    return [alone(candidate, reason) for candidate, reason in sizing.refused(prepared, pool).items()]


def alone(candidate: str, reason: str) -> str:
    """Say why a loss is not trained in a population."""
    return f"{candidate} is trained by model.fit, one model at a time: {reason}"


def fewer_lanes(lanes: int, begun: int) -> list[str]:
    """Return a note for a study that goes on with fewer lanes than it began with, none for others."""
    if lanes >= begun:
        return []
    now = f"{count_of(lanes, 'model')} at a time, as asked"
    return [f"{now}, instead of the {begun} that the study began with: later trials may be others"]


def nothing_to_train(done: int, total: int) -> str:
    """Return the line for a study that was asked for fewer trials than it has, empty for others."""
    if done <= total:
        return ""
    return (
        f"{count_of(done, 'trial is', 'trials are')} done, {count_of(total, 'was', 'were')} asked for: nothing to train"
    )


def resumed(done: int, total: int, interrupted: int) -> str:
    """Return `resuming: 64 of 96 trials are done; 20 that were interrupted run again`."""
    again = min(interrupted, total - done)
    return f"resuming: {done:,} of {count_of(total, 'trial is', 'trials are')} done" + (
        f"; {again:,} that {'was' if again == 1 else 'were'} interrupted run{'s' * (again == 1)} again" if again else ""
    )


def why_no_score(result: StudyResult) -> str:
    """Return the most frequent ways in which trials ended without a score."""
    reasons = Counter(f"{trial.state} ({trial.reason})" if trial.reason else trial.state for trial in result.trials)
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(3))
