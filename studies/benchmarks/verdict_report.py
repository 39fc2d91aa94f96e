"""The table and the power curve of studies of known truth, from the lines that `verdict.py` writes.

Printed per cell, with one-sided upper bounds of Clopper and Pearson at 95%:

    better      studies whose verdict says so; false ones are those without a true gain over the baseline, or without
                one where the decision of both is tuned. Their share of all studies is how often a study of this kind
                errs; their share of the studies without a true gain is the level of the test, and larger
    by loss     the same of "because of the loss", with the true gain over the baseline at the winner's learning rate
    covered     intervals that hold the true gain, with an interval of Clopper and Pearson at 95%; then the same with
                each interval made as much wider as the standard error of the true gain asks for
    bias        the estimated gain minus the true one, with its standard error
    here        both for the gain of models that are trained on the development rows of the study itself
    power       of the studies with a true gain, those whose verdict is "better"; of the oracle, and the share of it
    first       studies whose leaderboard has another loss than the baseline first, its gain there and its true gain
    truth       the standard error of the true gain, as a share of that of the estimated one

With nested cross-validation a verdict estimates the mean gain of what the folds chose, so "true" is that mean in all of
these, and the oracle's as well. Lines of before it was noted for tuned decisions, equal learning rates and the oracle
have that of the study's own winner there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

HALF_WIDTH = 1.96  # of an interval, in standard errors

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """All that studies share but their samples and number.

    rows: of a data set; imbalance: how many times as many rows of the first class as of another; noise: the share of
    labels that are drawn at random, for outliers the share of targets with ten times the noise; epochs: with more,
    wrong labels are learnt by heart.
    """

    design: str
    rows: int
    metric: str
    imbalance: float = 1.0
    noise: float = 0.0
    optimizer: str = "adam"
    trials: int = 24
    repeats: int = 20
    outer: int | None = None
    decision: str | None = None
    seed: int = 0
    epochs: int = 20

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return the settings of a line of `--out`."""
        return cls(**{each.name: line[each.name] for each in fields(cls) if each.name in line})

    @property
    def title(self) -> str:
        """`names, 300 rows, accuracy`, with what is unusual."""
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self)[3:]}
        unusual = [f"{name} {value}" for name, (value, usual) in values.items() if value not in (None, usual)]
        return ", ".join([self.design, f"{self.rows} rows", self.metric, *unusual])


def lines(files: Iterable[Path]) -> list[Line]:
    """Return the lines of the files; raises `ValueError` for one that is no line of `verdict.py`."""
    found = []
    for file in files:
        for number, text in enumerate(file.read_text().splitlines(), 1):
            try:
                found.append(json.loads(text))
            except json.JSONDecodeError as error:
                raise ValueError(f"{file}, line {number}: {error}") from error
    return found


def cells(studies: Iterable[Line]) -> dict[Settings, list[Line]]:
    """Return the studies of each cell, each study once."""
    by_cell: dict[Settings, dict[int, Line]] = {}
    for study in studies:
        by_cell.setdefault(Settings.of(study), {})[study["study"]] = study
    return {cell: [of[number] for number in sorted(of)] for cell, of in by_cell.items()}


class Figures:
    """The figures of the studies of one cell."""

    def __init__(self, studies: Sequence[Line]) -> None:
        self.studies = studies
        self.compared = [study for study in studies if study["difference"] is not None]
        self.better = np.array([study["answer"] == "better" for study in self.compared], bool)
        self.by_loss = np.array([study["cause"] == "loss" for study in self.compared], bool)
        self.true = np.array([least(study) for study in self.compared])
        self.same_rate = np.array([true(study, "true_same_rate") for study in self.compared])
        self.gains = np.array([true(study, "true") for study in self.compared])

    def _column(self, key: str) -> np.ndarray:
        return np.array([study[key] for study in self.compared], float)

    @property
    def covered(self) -> np.ndarray:
        """Whether each interval holds the true gain."""
        return (self._column("low") <= self.gains) & (self.gains <= self._column("high"))

    @property
    def bias(self) -> np.ndarray:
        """The estimated gain minus the true one."""
        return self._column("difference") - self.gains

    @property
    def covered_but_for_truth(self) -> np.ndarray:
        """Whether each interval holds the true gain, which is itself known up to its standard error."""
        half = (self._column("high") - self._column("low")) / 2
        return np.abs(self.bias) <= np.hypot(half, HALF_WIDTH * self._column("true_error"))

    def _covered(self) -> str:
        # the standard error is that of the settings that were chosen last, not of those that each fold chose
        is_nested = any(study.get("true_folds") is not None for study in self.compared)
        allowed = "" if is_nested else f", allowing for the error of the truth {within(self.covered_but_for_truth)}"
        return f"covered {within(self.covered)}{allowed}"

    def _here(self) -> str:
        """Return coverage and bias for the gain of models that are trained on the rows of each study itself."""
        studies = [study for study in self.compared if study.get("true_here") is not None]
        if not studies:
            return "here: not computed"
        gains, low, high, estimates = (
            np.array([study[key] for study in studies], float) for key in ("true_here", "low", "high", "difference")
        )
        covered = within((low <= gains) & (gains <= high))
        return f"here, in {len(studies)} studies: covered {covered}; bias {mean(estimates - gains)}"

    @property
    def oracle(self) -> np.ndarray:
        """Whether the oracle says "better"."""
        return self._column("oracle") > 0

    @property
    def truth_error(self) -> float:
        """The standard error of the true gain as a share of the estimate's, the mean of the studies."""
        widths = (self._column("high") - self._column("low")) / 2 / HALF_WIDTH
        usable = widths > 0
        return float(np.mean(self._column("true_error")[usable] / widths[usable])) if usable.any() else np.nan

    def text(self) -> list[str]:
        """Return the lines of the table."""
        number = len(self.compared)
        if not number:
            return [f"no comparison in {len(self.studies)} studies: {self.studies[0]['reason']}"]
        recommended = [study["true"] if study["is_winner"] else 0.0 for study in self.compared]
        seconds = np.mean([(study["seconds"], study["seconds_truth"]) for study in self.studies], axis=0)
        return [
            f"better {self.better.sum()} of {number}, {false(self.better, self.true <= 0)}; "
            f"by loss {self.by_loss.sum()}, {false(self.by_loss, self.same_rate <= 0)}",
            f"{self._covered()}; bias {mean(self.bias)}; true gain {mean(self.gains)}, "
            f"of what is recommended {mean(np.array(recommended))}",
            self._here(),
            self._power(),
            self._first(),
            f"truth {100 * self.truth_error:.0f}% of the verdict's standard error; {seconds[0]:.1f} s of processor "
            f"time per study, {seconds[1]:.1f} of its truth; {len(self.studies) - number} without a comparison",
        ]

    def _power(self) -> str:
        real = self.true > 0
        if not real.any():
            return "power: no study has a true gain"
        power, oracle = self.better[real].mean(), self.oracle[real].mean()
        share = f"{100 * power / oracle:.0f}%" if oracle else "no share"
        return f"power {within(self.better[real])}; oracle {100 * oracle:.1f}%: {share} of it"

    def _first(self) -> str:
        first = [(study["top_gain"], study["top_true"]) for study in self.compared if study["top_is_other"]]
        if not first:
            return "first on the leaderboard: the baseline in all"
        gain, real = np.array(first).T
        is_other = np.array([study["top_is_other"] for study in self.compared], bool)
        return (
            f"first on the leaderboard another loss in {len(first)} of {len(self.compared)}, "
            f"{false(is_other, self._column('top_true') <= 0)}; gain {gain.mean():+.4f}, true {real.mean():+.4f}, "
            f"gain minus true {mean(gain - real)}"
        )


def true(study: Line, key: str) -> Any:
    """Return the true gain that is estimated: the mean of what the outer folds chose, if it is there."""
    folds = study.get(f"{key}_folds")
    return study[key] if folds is None else folds


def least(study: Line) -> float:
    """Return the true gain, with default decisions or with tuned ones, whichever is less."""
    return min(gain for key in ("true", "true_tuned") if (gain := true(study, key)) is not None)


def false(claimed: np.ndarray, is_null: np.ndarray) -> str:
    """Return `false 3 (of all 200 at most 3.8%; of the 90 without a true gain at most 8.4%)`."""
    level = f"; of the {is_null.sum()} without a true gain at most {at_most(claimed[is_null])}" if is_null.any() else ""
    hits = claimed & is_null
    return f"false {hits.sum()} (of all {len(hits)} at most {at_most(hits)}{level})"


def at_most(hits: np.ndarray) -> str:
    """Return the one-sided upper bound of Clopper and Pearson at 95%, `3.8%`."""
    from scipy.stats import binomtest

    return f"{100 * binomtest(int(hits.sum()), len(hits)).proportion_ci(0.90, 'exact').high:.1f}%"


def within(hits: np.ndarray) -> str:
    """Return `95.0% (91.0 to 97.6)`."""
    low, high = interval(hits)
    return f"{100 * hits.mean():.1f}% ({100 * low:.1f} to {100 * high:.1f})"


def interval(hits: np.ndarray) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson at 95%."""
    from scipy.stats import binomtest

    both = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, "exact")
    return both.low, both.high


def mean(values: np.ndarray) -> str:
    """Return the mean with its standard error."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():+.4f} +- {error:.4f}"


def show(files: Sequence[Path], picture: Path | None) -> None:
    """Print the table of these files, and draw the power curve."""
    by_cell = {cell: Figures(studies) for cell, studies in cells(lines(files)).items()}
    for cell, figures in by_cell.items():
        print(cell.title)
        print("".join(f"    {line}\n" for line in figures.text()), end="")
    if picture:
        draw(by_cell, picture)


def draw(by_cell: Mapping[Settings, Figures], picture: Path) -> None:
    """Draw the share of "better" over the mean true gain of each cell, of verdict and oracle."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for number, (name, curve) in enumerate(curves(by_cell).items()):
        gains, shares, low, high, oracle = np.array(sorted(curve)).T
        color = f"C{number}"
        axes.errorbar(gains, shares, [shares - low, high - shares], fmt="o-", color=color, capsize=3, label=name)
        axes.plot(gains, oracle, "x--", color=color, label=f"{name}: oracle")
    axes.set(xlabel="true gain of the winner, mean of the studies", ylabel='share of "better"', ylim=(-0.02, 1.02))
    axes.legend(fontsize="small")
    figure.savefig(picture, dpi=150)


def curves(by_cell: Mapping[Settings, Figures]) -> dict[str, list[tuple[float, ...]]]:
    """Return the points of each curve, of cells that differ in noise and imbalance alone.

    A point is the mean true gain, the share of "better" with the ends of its interval, and the oracle's share.
    """
    points: dict[str, list[tuple[float, ...]]] = {}
    for cell, figures in by_cell.items():
        if len(figures.compared):
            name = replace(cell, noise=0.0, imbalance=1.0).title
            share, ends = figures.better.mean(), interval(figures.better)
            points.setdefault(name, []).append((figures.gains.mean(), share, *ends, figures.oracle.mean()))
    return points
