"""The leaderboard of a study: one row per candidate, best first, with its rank and its gain over the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lossreg.errors import count_of
from lossreg.reporting import constraints, report
from lossreg.reporting.arms import Arms
from lossreg.reporting.values import compared, compared_decimals, decimals, fixed, listed, number, scored, shown_name
from lossreg.storage.confirmation import Confirmed
from lossreg.storage.rounding import exact
from lossreg.storage.study_result import Standing, StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Answer
from lossreg.terminal import plain_text

NOISE = "A rank with ~: its score is within one standard error of the first, so that either may be the better loss."
NOT_SHOWN = (
    "A rank with ~: trained again on fresh splits, the loss is not shown to be worse than the first (corrected paired "
    "t-tests at 5%, adjusted for the number of losses and for the choice of the first{of_verdict}). It may still be "
    "worse: few splits show only large differences."
)
OF_VERDICT = "; for {} and {}, the verdict decides"
GAIN = "The gain is over the baseline in the first column of scores, above 0 where the loss is better."
LEVEL = 0.05


def has_tuned_decisions(result: StudyResult) -> bool:
    """Return whether scores are those of tuned decisions, so that there are default ones beside them."""
    return any(trial.default_score is not None for trial in result.trials)


def gain(result: StudyResult, row: Standing, board: Sequence[Standing] = ()) -> str:
    """Return the gain of a candidate's best over the baseline's: `+0.0123`, positive when better; `tie` when equal.

    board: the ranking, where it is known. The gain has the decimals of the scores; a difference that these would show
    as zero has two significant digits instead.
    """
    board = board or result.ranking()
    baseline = next((other for other in board if other.is_baseline), None)
    if row.is_baseline or baseline is None or bool(row.confirmed) != bool(baseline.confirmed):
        return "baseline" if row.is_baseline else "-"
    score, of_baseline = result.compared_score(row.best), result.compared_score(baseline.best)
    if score is None or of_baseline is None:
        return "-"
    if exact(score) == exact(of_baseline):
        return "tie"
    difference, places = (score - of_baseline) * result.sign, compared_decimals(result, board)
    is_shown = places is not None and abs(difference) >= 0.5 * 10.0**-places
    return f"{difference:+.{places}f}" if is_shown else f"{difference:+.1e}"


def about_gain(result: StudyResult) -> str:
    """Return what the gain is; nothing of one loss."""
    return GAIN if len(result.losses) > 1 else ""


def remarks(result: StudyResult) -> list[str]:
    """Return what is to be known of gains, marked ranks and scores."""
    return [line for line in (about_gain(result), noise(result), report.caveat(result)) if line]


def rank(result: StudyResult, row: Standing) -> str:
    """Return the rank of a candidate: `2`, or `~2` if it is within the noise of the first, `-` without a score."""
    return f"{'~' * _is_within_noise(result, row)}{number(row.rank)}"


def _is_within_noise(result: StudyResult, row: Standing) -> bool:
    """Tell whether either may be the better loss: by paired tests on fresh splits.

    Without such tests: by the members of the first trial, if the score is within one standard error of the first.
    """
    tested = _p_values(result)
    if tested or result.confirmation:
        return bool(tested) and row.rank not in (None, 1) and _is_undecided(result, row.candidate, tested)
    first = result.best
    if first is None or first.spread is None or first.score is None or row.best is None or row.best.score is None:
        return False
    if result.keeps(row.best) != result.keeps(first):
        return False
    return row.rank != 1 and abs(first.score - row.best.score) <= first.spread / math.sqrt(len(first.scores))


def _is_undecided(result: StudyResult, candidate: str, p_values: dict[str, float]) -> bool:
    """Tell whether a candidate is not shown to be worse than the first, of those that keep the constraints alike."""
    if result.constraints and candidate not in p_values:
        return False
    verdict = result.verdict
    if verdict and candidate == _decided_by_verdict(result):
        return verdict.answer is not (Answer.BETTER if candidate == verdict.baseline.candidate else Answer.WORSE)
    return p_values.get(candidate, 1.0) > LEVEL


def _decided_by_verdict(result: StudyResult) -> str:
    """Return the candidate that the verdict compares with the first of the leaderboard; empty if it is on others."""
    verdict, first = result.verdict, result.best
    if verdict is None or first is None or not Arms(result, verdict).is_of_winner:
        return ""
    winner, baseline = verdict.winner.candidate, verdict.baseline.candidate
    return {winner: baseline, baseline: winner}.get(first.candidate, "")


def noise(result: StudyResult) -> str:
    """Return a sentence on the ranks that are marked; nothing if none is."""
    is_any = any(_is_within_noise(result, row) for row in result.ranking())
    if not is_any or not _p_values(result):
        return NOISE * is_any
    verdict = result.verdict if _decided_by_verdict(result) else None
    pair = (verdict.winner.candidate, verdict.baseline.candidate) if verdict else ()
    return NOT_SHOWN.format(of_verdict=OF_VERDICT.format(*pair) if pair else "")


def close(result: StudyResult, most: int = 8) -> str:
    """Return a line on the candidates that are not shown to be worse than the first; nothing if there are none.

    The one that the verdict compares with the first is left out, since the verdict's own sentences are about it.
    """
    p_values, first = _p_values(result), result.best
    others = [row.candidate for row in result.ranking() if row.best and first and row.best != first]
    decided = _decided_by_verdict(result)
    names = [name for name in others if name != decided and _is_undecided(result, name, p_values)]
    if not names or not p_values or not first:
        return ""
    splits = f"on the {count_of(_splits(result), 'fresh split')} alone"
    others_in_words = "any other loss" if names == others else listed(names, most)
    return f"{first.candidate} is first on the leaderboard, but {splits} not shown to be better than {others_in_words}."


def _splits(result: StudyResult) -> int:
    """Return the number of fresh splits on which candidates were compared."""
    if result.confirmation:
        return result.confirmation.splits
    return max((len(one.scores) for one in result.verdict.reevaluated), default=0) if result.verdict else 0


def _p_values(result: StudyResult) -> dict[str, float]:
    """Return what fresh splits say of each candidate against the first; empty without such splits."""
    if result.confirmation:
        return dict(result.confirmation.p_values)
    reevaluated = result.verdict.reevaluated if result.verdict else ()
    return {one.candidate: one.p_value for one in reevaluated if one.p_value is not None}


def ties(result: StudyResult, most: int = 8) -> str:
    """Return a line on the candidates that share the top score; nothing if only one has it."""
    tied = result.ties
    if not tied:
        return ""
    names = [shown_name(result, candidate) for candidate in tied]
    first = "the baseline's trial" if result.baseline in tied else "the earliest trial"
    tie = f"{len(tied)} of {len(result.losses)} candidates tie at {compared(result, result.best)}"
    return f"{tie}: {listed(names, most)}; {first} is listed first."


def markdown(result: StudyResult) -> str:
    """Return the leaderboard as a table in Markdown."""
    head = headings(result)
    sides = ["--:", ":--", *["--:"] * (len(head) - 2)]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(sides) + " |"]
    lines += ["| " + " | ".join(map(plain_text.markdown, row)) + " |" for row in cells(result)]
    return "\n".join(lines)


def headings(result: StudyResult) -> list[str]:
    """Return the headings of `cells`."""
    return ["", "loss", *score_headings(result), "gain", "trial", "trials"]


def cells(result: StudyResult) -> list[list[str]]:
    """Return the rows of the leaderboard: rank, candidate, scores, gain, number of its trial, number of its trials.

    The scores are those of `score_headings`, each with the same number of decimals in all rows.
    """
    board = result.ranking()
    scores = list(zip(*_score_columns(result, board), strict=True))
    return [
        [rank(result, row), row.candidate, *of_row, gain(result, row, board), str(row.best.number) if row.best else "-",
         str(row.trials)]
        for row, of_row in zip(board, scores, strict=True)
    ]  # fmt: skip


def _score_columns(result: StudyResult, board: Sequence[Standing]) -> list[list[str]]:
    """Return the columns of scores of the best trial of each loss."""
    best = [row.best for row in board]
    done = [trial for trial in best if trial]
    places = decimals((trial.score for trial in done), (trial.spread for trial in done))
    default = [trial.default_score if trial else None for trial in best]
    columns = [[compared(result, trial, board) if result.confirmed(trial) else "-" for trial in best]]
    columns = [*columns * bool(result.confirmation), [scored(trial, places) for trial in best]]
    columns += [[fixed(score, decimals(default)) for score in default]] * has_tuned_decisions(result)
    return [*columns, *constraints.columns(result, best)]


def score_headings(result: StudyResult) -> list[str]:
    """Return the headings of a row's scores: on fresh splits, in the search, and there with the default decision.

    Those of constraints follow.
    """
    default = ["default decision"] * has_tuned_decisions(result) + constraints.headings(result)
    if result.confirmation:
        return [f"confirmed {result.metric}", "in the search", *default]
    return [f"{result.extreme} {result.metric}", *default]


def further(result: StudyResult, trial: TrialRecord | None) -> dict[str, Any]:
    """Return a trial's further metrics by name, and whether it keeps the constraints; nothing without any.

    The metrics are those of the search, and those on fresh splits as `confirmed_recall`.
    """
    searched = trial.metrics if trial else {}
    fresh = result.confirmation.metrics_of(trial.number) if result.confirmation and trial else {}
    names = [*(one.metric for one in result.constraints), *(one.metric for one in result.objectives[1:])]
    values: dict[str, Any] = {}
    for name in names:
        values |= {name: searched.get(name), f"confirmed_{name}": fresh.get(name)}
    return values | ({"keeps": result.keeps(trial) if trial else None} if result.constraints else {})


def rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return one flat row per candidate, best first; equal scores have equal ranks."""
    return [
        {
            "rank": row.rank,
            "candidate": row.candidate,
            "loss": row.loss,
            **confirmed(row.confirmed),
            **row.search_scores,
            **further(result, row.best),
            "best_trial": row.best.number if row.best else None,
            "trials": row.trials,
            "baseline": row.is_baseline,
            "learning_rate": row.best.learning_rate if row.best else None,
            "recipe": row.best.recipe if row.best else None,
        }
        for row in result.ranking()
    ]


def confirmed(scores: Confirmed | None) -> dict[str, float | None]:
    """Return the columns of a setting on fresh splits."""
    return {"confirmed_score": scores.mean if scores else None, "standard_error": scores.error if scores else None}
