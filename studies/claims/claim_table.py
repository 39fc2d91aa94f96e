"""The table of docs/claims.md, from the scores in `results.jsonl`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scipy.stats import f, t

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
LEVEL = 0.95
LOWER = ("mean_absolute_error", "root_mean_squared_error", "deviance", "calibration_error")
HOLDS, OPEN, FAILS = "holds", "not shown", "does not hold"
TUNED, TEMPERATURE = "_tuned", ", temperature"
ACCURATE, SPREAD = 0.01, "spread"  # as accurate: worse by no more than this
Lines = Sequence[Mapping[str, Any]]


class Claim(NamedTuple):
    """A loss that is said to be better than another by a measure, or worse where worse is said.

    what: said of the loss; settings: of the study, with the words for each; first, second: the arms, of which the
    second is the baseline; margin: it holds where the loss is worse by no more than this.
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
    """By how much the first arm of a claim is better than the second, over seeds, with its 95% interval."""

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
    SPREAD: "standard deviation of accuracy, as a ratio",
}  # fmt: skip
HEAD = ("claim", "source", "measure", "gain over seeds, with its 95% interval", "it")


def claims() -> Iterator[Claim]:
    """Yield the rows of the table."""
    yield from _of_noise()
    yield from _of_rare_classes()
    for loss, source in RESIDUALS.items():
        settings = {f"{share}%": f"{share}% outliers" for share in (5, 20)}
        for measure in ("mean_absolute_error", "root_mean_squared_error"):
            yield Claim("resists outliers", source, "outliers", settings, loss, "mean_squared_error", measure)
    for loss, source in COUNTED.items():
        settings = {"zeros": "60% replaced by 0"}
        yield Claim("suits counts with many zeros", source, "counts", settings, loss, "mean_squared_error", "deviance")
    square = SQUARE, "square", SETS, "square_loss", "cross_entropy"
    yield Claim("is as accurate", *square, "accuracy", margin=ACCURATE)
    yield Claim("is more accurate", *square, "accuracy")
    yield Claim("varies less over seeds", *square, SPREAD)
    for loss, source in (("label_smoothing_ce", SMOOTH), ("focal", CALIBRATED)):
        of = source, "smoothing" if loss == "label_smoothing_ce" else "focal", EASY, loss, "cross_entropy"
        yield Claim("is better calibrated", *of, "calibration_error")
        yield Claim("is better calibrated, both with a temperature", *of, "calibration_error" + TEMPERATURE)
        yield Claim("is more accurate", *of, "share_right")
    of = "wrong labels look like hard samples", "focal", NOISY, "focal", "cross_entropy"
    yield Claim("is less accurate where labels are wrong", *of, "share_right", worse=True)
    yield Claim("is better calibrated where labels are wrong", CALIBRATED, *of[1:], "calibration_error")


def _of_noise() -> Iterator[Claim]:
    for epoch, shares in (("last", (20, 40, 60)), ("best", (40,))):
        settings = {f"{share}%, {epoch} epoch": f"{share}% wrong" for share in shares}
        for loss, source in ROBUST.items():
            what = f"bears wrong labels, {epoch} epoch"
            yield Claim(what, source, "noise", settings, loss, "cross_entropy", "accuracy")


def _of_rare_classes() -> Iterator[Claim]:
    settings, baseline, by = (
        {f"{ratio}:1": f"{ratio}:1" for ratio in (10, 50, 100)},
        "cross_entropy",
        "balanced_accuracy",
    )
    tuned = baseline + TUNED
    for loss, source in RARE.items():
        of = source, "imbalance", settings
        yield Claim("finds rare classes", *of, loss, baseline, by)
        yield Claim("finds them also against a tuned decision", *of, loss, tuned, by)
        yield Claim("finds them also if both have a tuned decision", *of, loss + TUNED, tuned, by)


def gain(claim: Claim, setting: str, lines: Lines) -> Gain | None:
    """Return the gain in a setting, None with fewer than two seeds that have scores of both arms."""
    found = [line["scores"] for line in lines if (line["study"], line["setting"]) == (claim.study, setting)]
    if claim.measure == SPREAD:
        return _spread(claim, found)
    pairs = [
        (statistics.fmean(one[claim.first][claim.measure]), statistics.fmean(one[claim.second][claim.measure]))
        for one in found if all(one.get(arm, {}).get(claim.measure) for arm in (claim.first, claim.second))
    ]  # fmt: skip
    if len(pairs) < 2:
        return None
    sign = -1 if claim.measure.removesuffix(TEMPERATURE) in LOWER else 1
    gains = [sign * (first - second) for first, second in pairs]
    mean, error = statistics.fmean(gains), statistics.stdev(gains) / math.sqrt(len(gains))
    half = float(t.ppf((1 + LEVEL) / 2, len(gains) - 1)) * error
    first, second = (statistics.fmean(values) for values in zip(*pairs, strict=True))
    return Gain(mean, mean - half, mean + half, first, second, len(gains))


def _spread(claim: Claim, found: Lines) -> Gain | None:
    """Return by how much smaller the standard deviation over trainings is, as a share of the baseline's.

    It is that of the repeats of a seed, over all seeds; the interval is that of the ratio of two normal variances.
    """
    variances, freedom = [], 0
    for arm in (claim.first, claim.second):
        repeats = [one[arm]["accuracy"] for one in found if one.get(arm, {}).get("accuracy")]
        freedom = sum(len(values) - 1 for values in repeats)
        variances.append(sum(statistics.variance(values) * (len(values) - 1) for values in repeats) / max(freedom, 1))
    if not freedom or not all(variances):
        return None
    first, second = map(math.sqrt, variances)
    ratio, wide = first / second, math.sqrt(float(f.ppf((1 + LEVEL) / 2, freedom, freedom)))
    return Gain(1 - ratio, 1 - ratio * wide, 1 - ratio / wide, first, second, len(found))


def cells(claim: Claim, lines: Lines) -> tuple[str, ...]:
    """Return the cells of a row."""
    gains = {words: gain(claim, setting, lines) for setting, words in claim.settings.items()}
    answers = {words: claim.answer(one.low, one.high) if one else "no scores" for words, one in gains.items()}
    seen = "; ".join(f"{words}: {_seen(one)}" for words, one in gains.items() if one)
    distinct = list(dict.fromkeys(answers.values()))
    if len(distinct) == 1:
        answer = distinct[0]
    else:
        of = {answer: [words for words, one in answers.items() if one == answer] for answer in distinct}
        answer = "; ".join(f"{answer}: {', '.join(words)}" for answer, words in of.items())
    loss, rival = claim.first.removesuffix(TUNED), claim.second.removesuffix(TUNED)
    return f"`{loss}` {claim.what} (than `{rival}`)", claim.source, NAMES[claim.measure], seen, answer


def _seen(one: Gain) -> str:
    digits = 3 if max(abs(one.first), abs(one.second)) < 10 else 2
    first, second = f"{one.first:.{digits}f}", f"{one.second:.{digits}f}"
    return f"{one.mean:+.{digits}f} ({one.low:+.{digits}f} to {one.high:+.{digits}f}; {second} -> {first})"


def table(lines: Lines) -> str:
    """Return the table in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD), *(cells(claim, lines) for claim in claims())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def written(page: str, lines: Lines) -> str:
    """Return the page with the table of these lines."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(lines)}\n{END}{rest.partition(END)[2]}"
