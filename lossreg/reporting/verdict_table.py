"""The comparisons of a verdict as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rich.table import Table

from lossreg.reporting import tables
from lossreg.reporting.arms import Arms, tested
from lossreg.reporting.change import Change, Rounding, won
from lossreg.reporting.report import arrow
from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Comparison, Verdict

COLUMNS = {"": "left", "score": "right", "gain": "right", "95% interval": "right", "better in": "right"}


def table(result: StudyResult, verdict: Verdict) -> Table | None:
    """Return what was measured of winner and baseline; above 0 the winner is better. None without a comparison."""
    arms = Arms(result, verdict)
    if arms.main is None:
        return None
    grid = tables.table(_title(arms), COLUMNS, _rows(arms, arms.main))
    grid.spare = ("better in",)
    if _has_ties(arms):
        grid.caption, grid.caption_justify = tables.cell("A tie counts half."), "left"
    return grid


def _has_ties(arms: Arms) -> bool:
    comparisons = (arms.main, arms.at_same_rate, arms.tuned)
    return not all(comparison.won.is_integer() for comparison in comparisons if comparison)


def _title(arms: Arms) -> str:
    outer = arms.verdict.outer
    how = f" in {outer} outer folds" if outer else ", the same in all repeats"
    return f"{arms.result.metric} on {tested(arms.verdict)}{how}, {arrow(arms.result.direction)}"


def _rows(arms: Arms, main: Comparison) -> Iterator[list[str]]:
    comparisons = [comparison for comparison in (main, arms.at_same_rate, arms.tuned) if comparison]
    rounding = max(map(Rounding.of, comparisons), key=lambda one: one.decimals)
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
