"""The comparisons of a verdict as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from rich.table import Table

from lossreg.reporting import tables
from lossreg.reporting.arms import Arms, tested
from lossreg.reporting.change import Change, Rounding, won
from lossreg.reporting.report import arrow
from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Comparison, Verdict

COLUMNS = {"": "left", "score": "right", "gain": "right", "95% interval": "right", "better in": "right"}
TIES, ROUNDED = "A tie counts half.", "The gain is that of the scores before they are rounded."


def table(result: StudyResult, verdict: Verdict) -> Table | None:
    """Return what was measured of winner and baseline; above 0 the winner is better. None without a comparison."""
    arms = Arms(result, verdict)
    if arms.main is None:
        return None
    rounding = arms.rounding
    grid = tables.table(_title(arms), COLUMNS, _rows(arms, arms.main, rounding))
    grid.spare = ("better in",)
    captions = [TIES] * _has_ties(arms) + [ROUNDED] * (not _adds_up(arms, arms.main, rounding))
    if captions:
        grid.caption, grid.caption_justify = tables.cell(" ".join(captions)), "left"
    return grid


def _has_ties(arms: Arms) -> bool:
    return any(comparison.has_ties for comparison in arms.comparisons)


def _adds_up(arms: Arms, main: Comparison, rounding: Rounding) -> bool:
    """Return whether the gain is the difference of the two scores as they are shown."""
    winner, baseline = arms.verdict.winner.score, arms.verdict.baseline.score
    if winner is None or baseline is None or not math.isfinite(winner - baseline):
        return True
    change, sign = replace(arms.change(main), of_table=rounding), int(arms.result.sign)
    gain = change.signed(main.difference)
    shown = sign * (Decimal(rounding.score(winner)) - Decimal(rounding.score(baseline)))
    # the gain of large scores may be rounded to tens or more
    shown = round(shown, rounding.decimals) if rounding.decimals < 0 else shown
    return Decimal(gain) == shown or gain != change.signed(sign * (winner - baseline))


def _title(arms: Arms) -> str:
    outer = arms.verdict.outer
    how = f" in {outer} outer folds" if outer else ""
    return f"{arms.result.metric} on {tested(arms.verdict)}{how}, {arrow(arms.result.direction)}"


def _rows(arms: Arms, main: Comparison, rounding: Rounding) -> Iterator[list[str]]:
    in_percent = _has_ties(arms)

    def compared(comparison: Comparison) -> list[str]:
        return _compared(replace(arms.change(comparison), of_table=rounding), in_percent)

    yield [arms.winner, rounding.score(arms.verdict.winner.score), *compared(main)]
    yield [arms.baseline, rounding.score(arms.verdict.baseline.score), "", "", ""]
    further = {
        f"same {arms.differing} for both": arms.at_same_rate,
        f"tuned {arms.tuned_part} for both": arms.tuned,
    }
    for name, comparison in further.items():
        if comparison:
            yield [name, "", *compared(comparison)]


def _compared(change: Change, in_percent: bool) -> list[str]:
    """Return gain, interval and the repeats in which the winner was better."""
    comparison = change.comparison
    return [
        change.signed(comparison.difference),
        f"{change.signed(comparison.low)} to {change.signed(comparison.high)}",
        won(comparison, in_percent=in_percent) if comparison.repeats else "",
    ]
