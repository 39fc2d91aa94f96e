"""The results of a study in words: what its scores are, how it ended, what failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting import usage
from lossreg.reporting.values import compared, listed
from lossreg.storage.constraints import NONE_KEPT, in_words
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

LEADERBOARD = (
    "The leaderboard has validation scores of selected trials, each the best of several, and therefore optimistic. "
)
CONFIRMED = (
    "Scores are means over {splits} of {rows}, +- the standard error of one setting. The first is a little optimistic, "
    'since it is the best of {settings}. The column "in the search" has the score of the same trial on the validation '
    "rows of the search. "
)
NO_TEST_ROW, NO_TEST_ROWS = "No test row was used for these scores.", "There are no test rows."
TO_EXPECT = ", and are the ones to expect on new rows."
TEST_ROWS = f"Scores of the verdict come from the test rows, which the search did not use{TO_EXPECT}"
OUTER_FOLDS = f"Scores of the verdict come from rows that the search of their outer fold did not use{TO_EXPECT}"
# parts of the time of a study, with their keys
SPENT = {
    "training": "training", "choosing and writing trials": "search", "confirming": "confirm", "verdict": "verdict"
}  # fmt: skip
# seconds that are more than 0.0 in a text
LEAST_SHOWN = 0.05
PRUNED_AWAY = 'no trial was let to its end. Losses that start slowly are pruned unfairly; pruner = "none" waits.'


def heading(result: StudyResult) -> str:
    """Return the title of the trial at the top: `Highest validation score (f1)`, or `Highest confirmed score (f1)`."""
    return f"{result.extreme.capitalize()} {kind_of_score(result, result.best)} score ({result.metric})"


def none_kept(result: StudyResult) -> str:
    """Return `No trial keeps recall of at least 0.9. ` where that is so; else empty."""
    return f"{NONE_KEPT.capitalize()} {in_words(result.constraints)}. " if result.unkept else ""


def kind_of_score(result: StudyResult, trial: TrialRecord | None) -> str:
    """Return what the score is by which a trial is ranked: `confirmed`, on fresh splits, or `validation`."""
    return "confirmed" if result.confirmed(trial) else "validation"


def scored_on(result: StudyResult) -> str:
    """Return the rows on which the leaderboard's scores were measured."""
    splits = result.confirmation.splits if result.confirmation else 0
    return count_of(splits, "fresh split") if splits else "validation rows"


def caveat(result: StudyResult) -> str:
    """Return a sentence on what the scores of the leaderboard are, and on what happened to the test rows."""
    start = _confirmed(result) or LEADERBOARD
    return f"{start}{_of_test_rows(result)}{_untried(result)}"


def _confirmed(result: StudyResult) -> str:
    """Return what confirmed scores are; empty where there are none."""
    settings = len(result.confirmation.scores) if result.confirmation else 0
    rows = "all rows" if _lacks_test_rows(result) else "the rows without the test rows"
    return CONFIRMED.format(splits=scored_on(result), rows=rows, settings=settings) if settings else ""


def _lacks_test_rows(result: StudyResult) -> bool:
    return bool(result.data.get("rows", {}).get("test") == 0)


def _of_test_rows(result: StudyResult) -> str:
    if result.verdict is not None and result.verdict.openings:
        return OUTER_FOLDS if result.verdict.outer else TEST_ROWS
    return NO_TEST_ROWS if _lacks_test_rows(result) else NO_TEST_ROW


def _untried(result: StudyResult) -> str:
    """Return a sentence on losses that got no trial; empty where each has one."""
    names = result.untried
    return f" {listed(names, 8)} got no trial, so nothing is known of how they compare." if names else ""


def recipe_heading(result: StudyResult) -> str:
    """Return the title of the recipe to train with: the verdict's, else that of the trial at the top."""
    trial = result.recommended
    return heading(result) if result.verdict is None or trial is None else f"Recommended, trial {trial.number}"


def recommended(result: StudyResult) -> str:
    """Return the recipe to train with, its score and what else its trial used; empty where no trial has a score.

    `Recommended, trial 16: lossreg.get("focal", gamma=2.1)  (validation score 0.953, learning rate 0.0021)`
    """
    if (trial := result.recommended) is None:
        return ""
    used = ", ".join([f"{kind_of_score(result, trial)} score {compared(result, trial)}", *usage.besides(trial)])
    return f"{recipe_heading(result)}: {trial.recipe}  ({used})"


def notes(result: StudyResult) -> list[str]:
    """Return the notes to a study and to its verdict."""
    return [*result.notes, *(result.verdict.notes if result.verdict else ())]


def counts(result: StudyResult) -> str:
    """Return the number of trials by state: `62 trials: 60 complete, 2 diverged`, or `62 trials, all complete`."""
    counts = {state: count for state, count in result.counts.items() if count}
    if not counts:
        return "no trials"
    if len(counts) == 1:
        [(state, total)] = counts.items()
        return f"{count_of(total, 'trial')}, {'all ' * (total > 1)}{state}"
    return f"{count_of(len(result.trials), 'trial')}: {', '.join(f'{n:,} {state}' for state, n in counts.items())}"


def without_score(result: StudyResult) -> str:
    """Return that no trial has a score: `No trial has completed yet (3 trials: 2 failed, 1 diverged).`"""
    return f"No trial has completed yet ({counts(result)})." if result.trials else "No trial has ended yet."


def ended(result: StudyResult, more: str = "") -> str:
    """Return `12 trials, all complete, more in 28.7 s`; no time where another worker still finishes the study."""
    done = ", ".join(filter(None, [counts(result), more]))
    return f"{done} in {took(result)}" if result.seconds else done


def took(result: StudyResult) -> str:
    """Return the time of a study: `28.7 s (training 11.9, verdict 6.1, other 10.7; MLflow 20.8 at the same time)`.

    The parts add up to the whole: other is what is left of it, such as loading data and writing results. Both are sums
    over all runs of the study, which is said where trials were added to it.
    """
    seconds, total = result.seconds, elapsed(result)
    if total is None:
        return "no time"
    known = {name: seconds[key] for name, key in SPENT.items() if key in seconds}
    parts = [f"{name} {value:.1f}" for name, value in known.items()]
    other, tracking = total - sum(known.values()), seconds.get("tracking")
    parts += [f"other {other:.1f}"] if parts and other >= LEAST_SHOWN else []
    shown = "; ".join(filter(None, [", ".join(parts), f"MLflow {tracking:.1f} at the same time" if tracking else ""]))
    whole = f"{total:.1f} s{' over all runs' * bool(result.extended_to)}"
    return f"{whole} ({shown})" if shown else whole


def elapsed(result: StudyResult) -> float | None:
    """Return the seconds of a study, None where they are not known.

    Waiting for MLflow is left out: it is not over when MLflow is told the time, which is the same everywhere.
    """
    total = result.seconds.get("total")
    return None if total is None else total - result.seconds.get("tracking_waited", 0.0)


def epochs(result: StudyResult) -> str:
    """Return `412 of 640 epochs trained`; nothing if early stopping and pruning saved none."""
    planned = int(result.spec.get("train", {}).get("epochs", 0)) * len(result.trials)
    trained = sum(trial.epochs for trial in result.trials)
    return f"{trained:,} of {count_of(planned, 'epoch')} trained" if trained < planned else ""


def members(spec: Mapping[str, Any]) -> str:
    """Return the trainings that a score is the mean of: `5 folds x 3 seeds`; nothing for one training per trial."""
    folds, seeds = spec.get("data", {}).get("folds"), spec.get("search", {}).get("seeds", 1)
    parts = [f"{folds} folds"] if folds else []
    parts += [f"{seeds} seeds"] if seeds > 1 else []
    return " x ".join(parts)


def arrow(direction: str) -> str:
    """Return `higher is better` or `lower is better`."""
    return "higher is better" if direction == "maximize" else "lower is better"


def failures(result: StudyResult, most: int = 3) -> list[str]:
    """Return the commonest reasons of failed and diverged trials, such as `focal: not finite (3 trials)`.

    Further lines name candidates without a completed trial, and models that predict the same for every row.
    """
    seen: dict[str, int] = {}
    for trial in result.trials:
        if trial.state in ("failed", "diverged"):
            reason = f"{trial.candidate} {trial.state}: {trial.reason or 'no reason given'}"
            seen[reason] = seen.get(reason, 0) + 1
    common = sorted(seen.items(), key=lambda item: -item[1])
    reasons = [f"{reason} ({count_of(count, 'trial')})" for reason, count in common[:most]]
    return reasons + [f"{candidate}: {PRUNED_AWAY}" for candidate in _pruned_away(result)] + _constant(result)


def _constant(result: StudyResult) -> list[str]:
    """Return a line per candidate whose best trial predicts the same for every validation row."""
    trials = [row.best for row in result.ranking() if row.best and row.best.predicts_only is not None]
    return [
        f"{t.candidate}: the model of trial {t.number} predicts {_one(result, t)} for every validation row"
        for t in trials
    ]


def _one(result: StudyResult, trial: TrialRecord) -> str:
    names = list(result.data.get("classes") or ())
    if result.task in ("binary", "multiclass") and trial.predicts_only is not None and trial.predicts_only < len(names):
        return f"class {names[trial.predicts_only]!r}"
    return {"multilabel": "the same labels", "segmentation": "one mask of one value"}.get(result.task, "the same value")


def _pruned_away(result: StudyResult) -> list[str]:
    """Return the candidates without a completed trial of which trials were pruned."""
    rows = [row for row in result.ranking() if row.best is None]
    return [
        row.candidate for row in rows if any(t.state == "pruned" for t in result.trials if t.candidate == row.candidate)
    ]
