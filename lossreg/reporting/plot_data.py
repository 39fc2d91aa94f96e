"""The parts of a study that pictures show, and the looks that all pictures share: colours, markers, names, ranges."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lossreg.reporting.arms import Arms, differing, tested
from lossreg.reporting.change import known

if TYPE_CHECKING:
    from lossreg.storage.study_result import Standing, StudyResult
    from lossreg.storage.trial_record import TrialRecord
    from lossreg.storage.verdict import Comparison, Verdict

# Okabe and Ito's palette, which colour-blind readers can tell apart; its yellow is too light on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#888888"
MOST_SLICES = 24
ON_OTHER_ROWS = "where about two of three scores of the best setting would lie on other rows"
OF_FOLDS = "the best trial's mean of {folds} folds, +- the standard deviation of a single fold"
FEWEST_BOXED = 5  # scores from which quartiles are drawn
ABOUT_BOX = "quartiles; whiskers reach the furthest score within 1.5 interquartile ranges"
BEYOND = 0.02  # of an axis, beyond a bound of its metric


def comparisons(result: StudyResult) -> dict[str, Comparison]:
    """Return the comparisons of a verdict that have numbers, by what the winner is compared with."""
    if result.verdict is None:
        return {}
    winner, baseline = compared(result.verdict)
    rows = {
        baseline: result.verdict.against_baseline,
        f"{baseline},\n{differing(result, result.verdict)} of {winner}": result.verdict.against_same_rate,
        f"{baseline},\ntuned {Arms(result, result.verdict).tuned_part} for both": result.verdict.against_tuned_decision,
    }
    return {name: comparison for name, row in rows.items() if (comparison := known(row))}


def compared(verdict: Verdict) -> tuple[str, str]:
    """Return the sides of a verdict by name; a loss that is the best other one in all outer folds by its own name."""
    winner, baseline = verdict.sides
    return (next(iter(verdict.folds_won)) if len(verdict.folds_won) == 1 else winner), baseline


def searched(result: StudyResult) -> list[str]:
    """Return the parameters with at least two values except `loss`, the learning rate first."""
    seen: dict[str, set[Any]] = {}
    for trial in result.trials:
        for name, value in trial.params.items():
            seen.setdefault(name, set()).add(value)
    names = [name for name, values in seen.items() if name != "loss" and len(values) > 1]
    return sorted(names, key=lambda name: (name != "learning_rate", name))


def completed(result: StudyResult, candidate: str) -> list[tuple[TrialRecord, float]]:
    """Return the completed trials of a candidate with their scores."""
    scores = ((trial, trial.finite_score) for trial in result.trials if trial.candidate == candidate)
    return [(trial, score) for trial, score in scores if score is not None]


def looks(result: StudyResult) -> dict[str, dict[str, Any]]:
    """Return colour and marker of each candidate; pairs repeat after 56 candidates."""
    return {
        candidate: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, candidate in enumerate(result.losses)
    }


def spans_decades(values: Iterable[Any]) -> bool:
    """Tell whether positive numbers are dense at their low end, as those drawn on a log scale are."""
    numbers = sorted(v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))
    if not numbers or numbers[0] <= 0 or numbers[-1] / numbers[0] < 20:
        return False
    middle = numbers[len(numbers) // 2]
    return bool(middle - numbers[0] < 0.25 * (numbers[-1] - numbers[0]))


def shown_range(result: StudyResult) -> tuple[float, float]:
    """Return the range of an axis of scores in which a few bad ones do not flatten the rest.

    It ends 3 interquartile ranges beyond the worse quartile, and just beyond the metric's bounds.
    """
    shown = _shown(result)
    margin = 0.06 * (shown[-1] - shown[0]) or 0.01
    return _within_bounds(result, shown[0] - margin, shown[-1] + margin)


def bounds(result: StudyResult) -> tuple[float, float]:
    """Return the lowest and the highest value that the metric can have; infinite of one of the user's."""
    from lossreg.metrics import catalogue

    metric = catalogue.BY_NAME.get(result.metric)
    best, worst = (metric.best, metric.worst) if metric and metric.direction == result.direction else (None, None)
    low, high = (worst, best) if result.direction == "maximize" else (best, worst)
    return -math.inf if low is None else low, math.inf if high is None else high


def _within_bounds(result: StudyResult, low: float, high: float) -> tuple[float, float]:
    """Return a range that ends so far beyond the metric's bounds that marks there are whole."""
    (least, most), room = bounds(result), BEYOND * (high - low)
    return max(low, least - room), min(high, most + room)


def number_outside(result: StudyResult, limits: tuple[float, float] | None = None) -> int:
    """Return the number of scores that lie outside of the axis, by default that of `shown_range`."""
    low, high = limits or shown_range(result)
    return sum(not low <= score <= high for score in _scores(result))


class Noise(NamedTuple):
    """A range of scores that is shaded, and what it is, in words."""

    low: float
    high: float
    words: str


def noise(result: StudyResult) -> Noise | None:
    """Return the score of the first's setting, and one standard deviation to each side.

    That is the deviation of a setting's scores on fresh splits, pooled over the settings, else that of the folds of its
    trial. None where neither is known: seeds alone are scored on the same validation rows.
    """
    first, score = result.best, result.compared_score(result.best)
    if first is None or score is None:
        return None
    is_confirmed, folds = bool(result.confirmation), result.spec.get("data", {}).get("folds")
    of_settings: Iterable[Sequence[float]] = [first.scores] if folds else []
    if result.confirmation:
        of_settings = result.confirmation.scores.values()
    variances = [statistics.variance(scores) for scores in of_settings if len(scores) > 1]
    deviation = math.sqrt(statistics.fmean(variances)) if variances else math.nan
    words = ON_OTHER_ROWS if is_confirmed else OF_FOLDS.format(folds=folds)
    least, most = bounds(result)
    low, high = max(least, score - deviation), min(most, score + deviation)
    return Noise(low, high, words) if math.isfinite(deviation) else None


def repeats(result: StudyResult) -> dict[str, Sequence[float]]:
    """Return the scores of a verdict's repeated trainings on the test rows, by side: a loss, or that of each fold."""
    if result.verdict is None:
        return {}
    by_arm = result.verdict.predicted.get("scores", {})
    sides = zip(compared(result.verdict), ("winner", "baseline"), strict=True)
    return {side: by_arm[arm] for side, arm in sides if by_arm.get(arm)}


def names_by_loss(result: StudyResult, board: Sequence[Standing]) -> list[str]:
    """Return the rows of the scores by loss: the candidates, then a side of the verdict that is none of them."""
    return list(dict.fromkeys([*(row.candidate for row in board), *repeats(result)]))


def reach(result: StudyResult, board: Sequence[Standing]) -> tuple[float, float]:
    """Return a range that has scores on fresh splits with their errors, their noise, and those of repeats too."""
    fresh = [row.confirmed for row in board if row.confirmed]
    ends = [one.mean + 1.05 * sign * (one.error or 0.0) for one in fresh for sign in (-1, 1)]
    shaded = noise(result)
    ends += [shaded.low, shaded.high] if shaded else []
    ends += [score for scores in repeats(result).values() for score in scores]
    low, high = shown_range(result)
    room = 0.02 * (max([high, *ends]) - min([low, *ends]))
    low, high = min([low, *(end - room for end in ends)]), max([high, *(end + room for end in ends)])
    return _within_bounds(result, low, high)


def _shown(result: StudyResult) -> list[float]:
    ordered = _scores(result)
    low, high = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    reach = 3 * (high - low) or abs(high) or 1.0
    up = result.direction == "maximize"
    return [score for score in ordered if (score >= low - reach if up else score <= high + reach)]


def _scores(result: StudyResult) -> list[float]:
    return sorted(score for trial in result.trials if (score := trial.finite_score) is not None)


def dot_heights(line: int, count: int) -> list[float]:
    """Return the heights of a row's dots, by which those of equal scores stand beside each other."""
    return [line + 0.22 * offset for offset in _offsets(count)]


def ring_heights(line: int, count: int, *, is_below: bool = True) -> list[float]:
    """Return the heights of a row's rings: below its dots, or in the middle of a row without dots."""
    return [line + 0.36 * is_below + 0.06 * offset for offset in _offsets(count)]


def _offsets(count: int) -> list[float]:
    """Return offsets from -1 to 1."""
    return [(7 * i) % 11 / 5 - 1 for i in range(count)]


def score_axis(result: StudyResult) -> str:
    """Return the title of an axis of scores by loss; where the verdict's repeats are on it, they are on other rows."""
    return result.metric if repeats(result) else f"{result.metric} (validation)"


def gain_axis(result: StudyResult, verdict: Verdict) -> tuple[str, str]:
    """Return the two lines of the title of an axis of gains: what it shows, and which side is better."""
    gain = f"gain in {result.metric}" if result.direction == "maximize" else f"gain (lower {result.metric})"
    winner = "the chosen loss" if len(verdict.folds_won) > 1 else compared(verdict)[0]
    return f"{gain} on {tested(verdict)}", f"above 0: {winner} is better"


class Box(NamedTuple):
    """Quartiles of scores, and the ends of the whiskers: the furthest scores within 1.5 interquartile ranges."""

    low: float
    first: float
    median: float
    third: float
    high: float


def box(scores: Sequence[float]) -> Box | None:
    """Return the box of scores, None where there are too few of them for quartiles."""
    if len(scores) < FEWEST_BOXED:
        return None
    first, median, third = statistics.quantiles(scores, n=4, method="inclusive")
    reach = 1.5 * (third - first)
    low = min(first, *(score for score in scores if score >= first - reach))
    return Box(low, first, median, third, max(third, *(score for score in scores if score <= third + reach)))
