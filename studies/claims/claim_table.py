"""The table of docs/claims.md, from the scores in `results.jsonl`."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import measurements
from scipy.stats import f, t

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"
SEEN = "## What was seen"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
NUMBER = re.compile(r"\d+\.\d+")
LEVEL = 0.95
LOWER = ("mean_absolute_error", "root_mean_squared_error", "deviance", "calibration_error")
HOLDS, OPEN, FAILS = "holds", "not shown", "does not hold"
TUNED, TEMPERATURE = "_tuned", ", temperature"
SPREAD = "spread"
MARGIN = 0.01  # of "as accurate": one row in a hundred
Lines = Sequence[Mapping[str, Any]]


class Claim(NamedTuple):
    """A loss that is said to be better than another by a measure, or worse where worse is said.

    what: said of the loss, with the place of the other one; settings: of the study, with the words for each;
    first, second: the arms, of which the second is the baseline; margin: it holds where the loss is worse by less.
    """

    what: str
    source: str
    study: str
    settings: Mapping[str, str]
    first: str
    second: str
    measure: str
    worse: bool = False
    margin: float = 0.0

    def answer(self, low: float, high: float) -> str:
        """Return what an interval of the gain says of the claim."""
        low, high = (-high, -low) if self.worse else (low, high)
        return HOLDS if low > -self.margin else FAILS if high < -self.margin else OPEN


class Gain(NamedTuple):
    """By how much the first arm of a claim is better than the second, over seeds, with its 95% interval.

    first, second: what the arms have.
    """

    mean: float
    low: float
    high: float
    first: float
    second: float
    seeds: int


ROBUST = {
    "generalized_cross_entropy": "Zhang and Sabuncu 2018, [1805.07836](https://arxiv.org/abs/1805.07836)",
    "symmetric_ce": "Wang et al. 2019, [1908.06112](https://arxiv.org/abs/1908.06112)",
    "bi_tempered": "Amid et al. 2019, [1906.03361](https://arxiv.org/abs/1906.03361)",
    "mae_classification": "Ghosh et al. 2017, [1712.09482](https://arxiv.org/abs/1712.09482)",
    "label_smoothing_ce": "Lukasik et al. 2020, [2003.02819](https://arxiv.org/abs/2003.02819)",
}
RARE = {
    "focal": "Lin et al. 2017, [1708.02002](https://arxiv.org/abs/1708.02002)",
    "class_balanced_ce": "Cui et al. 2019, [1901.05555](https://arxiv.org/abs/1901.05555)",
    "logit_adjusted_ce": "Menon et al. 2020, [2007.07314](https://arxiv.org/abs/2007.07314)",
    "ldam": "Cao et al. 2019, [1906.07413](https://arxiv.org/abs/1906.07413)",
}
RESIDUALS = {
    "huber": "Huber 1964", "log_cosh": "a smooth Huber loss", "mean_absolute_error": "the median resists outliers",
    "cauchy": "Barron 2019, [1701.03077](https://arxiv.org/abs/1701.03077)",
}  # fmt: skip
COUNTED = {"poisson": "McCullagh and Nelder 1989", "negative_binomial": "Hilbe 2011", "tweedie": "Jørgensen 1987"}
SQUARE = "Hui and Belkin 2020, [2006.07322](https://arxiv.org/abs/2006.07322)"
SMOOTH = "Müller et al. 2019, [1906.02629](https://arxiv.org/abs/1906.02629)"
CALIBRATED = "Mukhoti et al. 2020, [2002.09437](https://arxiv.org/abs/2002.09437)"
EASY = {"digits": "digits"}
SETS = {"digits": "digits", "breast_cancer": "breast cancer"}
NOISY = {"digits, 20% wrong labels": "digits, 20% wrong labels"}
NAMES = {
    "accuracy": "accuracy", "share_right": "accuracy", "balanced_accuracy": "balanced accuracy",
    "mean_absolute_error": "MAE", "root_mean_squared_error": "RMSE",
    "deviance": "Poisson deviance", "calibration_error": "ECE",
    "calibration_error, temperature": "ECE, temperature tuned",
    SPREAD: "standard deviation of accuracy",
}  # fmt: skip
HEAD = ("claim", "measure", "data", "gain (95% interval)", "baseline -> loss", "answer")


def claims() -> Iterator[Claim]:
    """Yield the rows of the table."""
    yield from _of_noise()
    yield from _of_rare_classes()
    yield from _of_regression()
    yield from _of_the_square_loss()
    yield from _of_calibration()


def _of_noise() -> Iterator[Claim]:
    for epoch, shares in (("last", (20, 40, 60)), ("best", (40,))):
        settings = {f"{share}%, {epoch} epoch": f"{share}% wrong" for share in shares}
        for loss, source in ROBUST.items():
            what = f"is more accurate than {{}} with wrong labels, {epoch} epoch"
            yield Claim(what, source, "noise", settings, loss, "cross_entropy", "accuracy")


def _of_rare_classes() -> Iterator[Claim]:
    settings = {f"{ratio}:1": f"{ratio}:1" for ratio in (10, 50, 100)}
    baseline, tuned, better = "cross_entropy", "cross_entropy" + TUNED, "predicts rare classes better than {}"
    for loss, source in RARE.items():
        for what, first, second in (
            (better, loss, baseline),
            (f"{better} with a tuned decision", loss, tuned),
            (f"{better}, both with a tuned decision", loss + TUNED, tuned),
        ):
            yield Claim(what, source, "imbalance", settings, first, second, "balanced_accuracy")


def _of_regression() -> Iterator[Claim]:
    what, settings = "resists outliers better than {}", {f"{share}%": f"{share}% outliers" for share in (5, 20)}
    for loss, source in RESIDUALS.items():
        for measure in ("mean_absolute_error", "root_mean_squared_error"):
            yield Claim(what, source, "outliers", settings, loss, "mean_squared_error", measure)
    what, settings = "fits counts with many zeros better than {}", {"zeros": "60% replaced by 0"}
    for loss, source in COUNTED.items():
        yield Claim(what, source, "counts", settings, loss, "mean_squared_error", "deviance")


def _of_the_square_loss() -> Iterator[Claim]:
    of = SQUARE, "square", SETS, "square_loss", "cross_entropy"
    yield Claim(f"is as accurate as {{}}, worse by less than {MARGIN}", *of, "accuracy", margin=MARGIN)
    yield Claim("is more accurate than {}", *of, "accuracy")
    yield Claim("varies less between trainings than {}", *of, SPREAD)


def _of_calibration() -> Iterator[Claim]:
    for study, loss, source in (("smoothing", "label_smoothing_ce", SMOOTH), ("focal", "focal", CALIBRATED)):
        of = source, study, EASY, loss, "cross_entropy"
        yield Claim("is better calibrated than {}", *of, "calibration_error")
        yield Claim("is better calibrated than {}, both with a temperature", *of, "calibration_error" + TEMPERATURE)
        yield Claim("is more accurate than {}", *of, "share_right")
    of = "wrong labels look like hard samples", "focal", NOISY, "focal", "cross_entropy"
    yield Claim("is less accurate than {} with wrong labels", *of, "share_right", worse=True)
    yield Claim("is better calibrated than {} with wrong labels", CALIBRATED, *of[1:], "calibration_error")


def gain(claim: Claim, setting: str, lines: Lines) -> Gain | None:
    """Return the gain in a setting, None with fewer than two seeds that have scores of both arms."""
    pairs = _pairs(claim, setting, lines)
    if len(pairs) < 2:
        return None
    if claim.measure == SPREAD:
        return _spread(pairs)
    means = [(statistics.fmean(first), statistics.fmean(second)) for first, second in pairs]
    sign = -1 if claim.measure.removesuffix(TEMPERATURE) in LOWER else 1
    gains = [sign * (first - second) for first, second in means]
    mean, error = statistics.fmean(gains), statistics.stdev(gains) / math.sqrt(len(gains))
    half = float(t.ppf((1 + LEVEL) / 2, len(gains) - 1)) * error
    first, second = (statistics.fmean(values) for values in zip(*means, strict=True))
    return Gain(mean, mean - half, mean + half, first, second, len(gains))


def _pairs(claim: Claim, setting: str, lines: Lines) -> list[tuple[list[float], list[float]]]:
    """Return the scores of the trainings of both arms, a pair for each seed that has both."""
    found = [line["scores"] for line in lines if (line["study"], line["setting"]) == (claim.study, setting)]
    measure = "accuracy" if claim.measure == SPREAD else claim.measure
    of_arms = [[one.get(arm, {}).get(measure) for arm in (claim.first, claim.second)] for one in found]
    return [(first, second) for first, second in of_arms if first and second]


def _spread(pairs: Sequence[tuple[list[float], list[float]]]) -> Gain | None:
    """Return by how much smaller the standard deviation between trainings is, as a share of the baseline's.

    It is that of the trainings of a seed, pooled over the seeds; the interval is that of the ratio of the variances of
    two independent normal samples.
    """
    (first, of_first), (second, of_second) = (_pooled(arm) for arm in zip(*pairs, strict=True))
    if not first or not second:
        return None
    ratio, level = math.sqrt(first / second), (1 + LEVEL) / 2
    low = ratio / math.sqrt(float(f.ppf(level, of_first, of_second)))
    high = ratio * math.sqrt(float(f.ppf(level, of_second, of_first)))
    return Gain(1 - ratio, 1 - high, 1 - low, math.sqrt(first), math.sqrt(second), len(pairs))


def _pooled(samples: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return the variance within samples, 0 if none has two values, and its degrees of freedom."""
    freedom = sum(len(sample) - 1 for sample in samples)
    squares = sum(statistics.pvariance(sample) * len(sample) for sample in samples)
    return squares / max(freedom, 1), freedom


def rows(claim: Claim, lines: Lines) -> Iterator[tuple[str, ...]]:
    """Yield a row for each setting; the first one has the claim and the measure."""
    loss, rival = claim.first.removesuffix(TUNED), claim.second.removesuffix(TUNED)
    said = (f"`{loss}` {claim.what.format(f'`{rival}`')} ({claim.source})", NAMES[claim.measure])
    for setting, words in claim.settings.items():
        one = gain(claim, setting, lines)
        yield *said, words, *(_seen(one) if one else ("", "")), claim.answer(one.low, one.high) if one else "no scores"
        said = "", ""


def _seen(one: Gain) -> tuple[str, str]:
    """Return the gain with its interval, and what both arms have."""
    digits = 3 if max(abs(one.first), abs(one.second)) < 10 else 2
    scores = f"{one.second:.{digits}f} -> {one.first:.{digits}f}"
    digits = measurements.decimals((one.low, one.high), digits)
    return f"{one.mean:+.{digits}f} ({one.low:+.{digits}f} to {one.high:+.{digits}f})", scores


def table(lines: Lines) -> str:
    """Return the table in Markdown."""
    of_claims = (row for claim in claims() for row in rows(claim, lines))
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ("---",) * len(HEAD), *of_claims))


def outdated(page: str) -> list[str]:
    """Return the numbers of what was seen, which is written by hand, that the table does not have."""
    before, _, rest = page.partition(BEGIN)
    seen, known = before.partition(SEEN)[2].partition("\n## ")[0], rest.partition(END)[0]
    return [number for number in NUMBER.findall(seen) if number not in NUMBER.findall(known)]


def origin(lines: Lines) -> str:
    """Return what the table was measured with, and how long that took."""
    versions, backends = (", ".join(sorted({line[key] for line in lines})) for key in ("version", "backend"))
    minutes = sum(line["seconds"] for line in lines) / 60
    return f"{len(lines)} studies, {minutes:.0f} minutes in all, with lossreg {versions} on {backends}."


def written(page: str, lines: Lines) -> str:
    """Return the page with the table of these lines."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{origin(lines)}\n\n{table(lines)}\n{END}{rest.partition(END)[2]}"
