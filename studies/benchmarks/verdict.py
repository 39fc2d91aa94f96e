"""Studies of known truth: how often the verdict is right, and what the top of the leaderboard is worth beside it.

    KERAS_BACKEND=jax python studies/benchmarks/verdict.py --designs names --rows 300 --studies 200 --out names.jsonl
    python studies/benchmarks/verdict.py --report *.jsonl --plot power.png

Every study draws a fresh data set from a generator and runs lossreg's own search, choice and verdict; studies of equal
shapes share what is compiled. The truth is what the same settings reach when they are trained on further fresh samples
of the same size (`--samples`) and scored on `--truth` fresh rows; beside it stands what they reach on these rows when
they are trained on as many further splits of the study's own development rows. The oracle has the trainings on fresh
samples too, and a fresh test set of the study's size for each of them: it says "better" where a t-test at 95% does.
`verdict_report.py` says what is printed. With JAX a study takes a third of the time that it takes with TensorFlow.

Studies that `--out` holds already are left out, so that a run can be continued. Two runs side by side, on one core
each (`taskset -c 0`), take disjoint numbers: `--first 0 --studies 100` and `--first 100 --studies 100`.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import verdict_report

import lossreg

FEATURES = 10
TEST, VALIDATION = 0.2, 0.25
LANES, LANES_AT_MOST = 16, 48
BLOCKS = 20  # of the rows of the truth, for its standard error


@lossreg.softmax_loss(reference="a multiple of cross-entropy")
def triple(y_true: Any, y_pred: Any) -> Any:
    """Three times cross-entropy.

        -3 log p_t

    y_true `(batch, k)`, one-hot; y_pred of the same shape. Returns `(batch,)`, at least 0.
    """
    from lossreg import ops

    return -3.0 * ops.sum(y_true * ops.log_softmax(y_pred, axis=-1), axis=-1)


RECOMMENDED = {"cross_entropy": {}, "focal": {}, "gce": {}, "label_smoothing_ce": {}, "class_balanced_ce": {}}
DESIGNS: dict[str, dict[str, Any]] = {
    # nothing differs
    "names": {"cross_entropy": {}, **{f"again_{i}": {"loss": "cross_entropy"} for i in range(4)}},
    "multiple": {"cross_entropy": {}, "triple": {"function": triple}},
    "alpha": {"cross_entropy": {}, "focal": {"gamma": 0.0, "alpha": "search"}},
    # the threshold is all that differs
    "threshold": {"cross_entropy": {}, "weighted_ce": {"tau": 1.0}},
    # something may
    "losses": RECOMMENDED,
    "outliers": {"mse": {}, "mae": {}, "huber": {}, "log_cosh": {}},
}
TASKS = {"threshold": "binary", "outliers": "regression"}
METRICS = {"threshold": "balanced_accuracy", "outliers": "neg_mean_absolute_error"}


class Cell(verdict_report.Settings):
    """Settings of studies, with the studies and samples of these."""

    __slots__ = ()

    @property
    def task(self) -> str:
        return TASKS.get(self.design, "multiclass")

    @property
    def test_rows(self) -> int:
        return round(TEST * self.rows)

    def study(self, source: Path, number: int) -> dict[str, Any]:
        """Return the study file."""
        verdict = {"repeats": self.repeats, **({} if self.outer is None else {"outer": self.outer})}
        decision = {} if self.decision is None else {"decision": self.decision}
        return {
            "name": "simulated",
            "data": {
                "source": str(source),
                "test": TEST,
                "validation": VALIDATION,
                "task": self.task,
                "preprocess": "none",
            },
            "model": {"hidden": [32]},
            "train": {"epochs": self.epochs, "batch_size": 32 if self.rows <= 500 else 64, "optimizer": self.optimizer},
            "search": {"trials": self.trials, "metric": self.metric, "seed": number, "lanes": LANES, **decision},
            "losses": DESIGNS[self.design],
            "verdict": verdict,
            "tracking": {"enabled": False},
        }

    def sample(self, rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        """Return fresh rows as the arrays of an .npz file."""
        draw = linear if self.task == "regression" else normal
        x, y = draw(self, rng, rows)
        return {"x": x.astype(np.float32), "y": y}


def normal(cell: Cell, rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of classes that are normal around means at equal distances."""
    classes = 2 if cell.task == "binary" else 3
    share = np.array([cell.imbalance, *[1.0] * (classes - 1)])
    y = rng.choice(classes, rows, p=share / share.sum())
    x = 1.5 * np.eye(classes, FEATURES)[y] + rng.normal(size=(rows, FEATURES))
    return x, np.where(rng.random(rows) < cell.noise, rng.integers(0, classes, rows), y)


def linear(cell: Cell, rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of a linear target with noise, and with ten times the noise in some."""
    x = rng.normal(size=(rows, FEATURES))
    scale = np.where(rng.random(rows) < cell.noise, 10.0, 1.0)
    return x, x.sum(1) / np.sqrt(FEATURES) + scale * rng.normal(size=rows)


# ------------------------------------------------------------------ one study


def simulated(cell: Cell, number: int, args: argparse.Namespace, predictor: Any) -> dict[str, Any]:
    """Return what a study reported, and what is true of it."""
    rng = np.random.default_rng([cell.seed, number])
    begin = time.process_time()
    source = Path("rows.npz").absolute()
    np.savez(source, **cell.sample(rng, cell.rows))
    study = cell.study(source, number)
    result = lossreg.tune(study)
    spent = time.process_time() - begin
    line = {**reported(result), **true(cell, study, result, rng, args=args, predictor=predictor)}
    return {**line, "seconds": spent, "seconds_truth": time.process_time() - begin - spent}


def reported(result: Any) -> dict[str, Any]:
    """Return what verdict and leaderboard say."""
    verdict, top, baseline = result.verdict, result.best, board_baseline(result)
    main = verdict.against_baseline
    sign = 1.0 if result.direction == "maximize" else -1.0
    return {
        "answer": verdict.answer.value, "cause": verdict.cause.value if verdict.cause else None,
        "difference": main.difference if main else None, "low": main.low if main else None,
        "high": main.high if main else None, "is_winner": verdict.recommended == verdict.winner,
        "detectable": main.detectable if main else None, "reason": verdict.reason,
        "top_is_other": top.candidate != result.baseline, "top_gain": sign * (top.score - baseline.score),
    }  # fmt: skip


def prepared_of(study: Mapping[str, Any]) -> Any:
    """Return the study as the search prepares it."""
    from lossreg.config import study as studies
    from lossreg.search import preparation

    return preparation.prepare(studies.of(study), rehearsed=False)


def fold_plans(prepared: Any) -> dict[str, Any]:
    """Return the plans of winner and baseline of each outer fold, `winner 0`; none without nested cross-validation.

    The gain that is estimated there is the mean of the folds'.
    """
    from lossreg.search import fold_search, restore
    from lossreg.search.frozen import Notes
    from lossreg.storage.journal_keys import FROZEN
    from lossreg.storage.study_folder import StudyFolder
    from lossreg.storage.trials import ATTRIBUTE

    spec = prepared.spec
    attributes = StudyFolder(spec.folder, spec.name).read().user_attrs[ATTRIBUTE]
    last = Notes.of_stored(attributes.get(FROZEN), spec.search.trials).last
    chosen = last.settings if last else ()
    parts = prepared.problem.dataset.rows.outer(len(chosen), spec.search.seed) if chosen else ()
    return {
        f"{name} {number}": restore.plan_with(fold_search.of_rows(prepared, part.development), **setting)
        for number, (part, settings) in enumerate(zip(parts, chosen, strict=True))
        for name, setting in settings.items()
    }


def gain_here(
    cell: Cell, prepared: Any, plans: Mapping[str, Any], rng: np.random.Generator, *, args: argparse.Namespace,
    predictor: Any,
) -> float:  # fmt: skip
    """Return the gain of winner over baseline that are trained on the study's own development rows.

    With outer folds it is the mean of theirs, on the development rows of each.
    """
    rows, folds = prepared.problem.dataset.rows, len(plans) // 2
    parts = [part.development for part in rows.outer(folds, prepared.spec.search.seed)] if folds > 1 else []
    each = args.samples // max(1, len(parts))
    here = Fresh.here(cell, [part for part in parts or [rows.development] for _ in range(each)], rng, args)
    if not parts:
        return Gain.of(here.scores(plans, predictor), [("winner", "baseline")]).value
    samples = {name: range(each * fold, each * (fold + 1)) for name in plans for fold in [int(name.split()[1])]}
    scores = here.scores(plans, predictor, samples)
    gains = [Gain.of(scores, [(f"winner {fold}", f"baseline {fold}")]).value for fold in range(folds)]
    return float(np.mean(gains))


def plan(trial: Any, epochs: int) -> Any:
    """Return the training of a trial with the loss parameters that it had, whatever the samples."""
    from lossreg.training.interface import Plan

    return Plan(trial.candidate, trial.loss_params, trial.learning_rate, epochs)


def board_baseline(result: Any) -> Any:
    """Return the baseline's best trial on the leaderboard."""
    return next(row.best for row in result.ranking() if row.candidate == result.baseline)


def true(
    cell: Cell,
    study: Mapping[str, Any],
    result: Any,
    rng: np.random.Generator,
    *,
    args: argparse.Namespace,
    predictor: Any,
) -> dict[str, Any]:
    """Return the true gains of winner and top of the leaderboard, with standard errors, and what the oracle says."""
    verdict = result.verdict
    if verdict.against_baseline is None:
        return {}
    fresh = Fresh.drawn(cell, rng, args)
    trials = {trial.number: trial for trial in result.trials}
    winner, baseline = (plan(trials[arm.trial], cell.epochs) for arm in (verdict.winner, verdict.baseline))
    arms = {
        "winner": winner,
        "baseline": baseline,
        "same_rate": replace(baseline, learning_rate=winner.learning_rate),
        "top": plan(result.best, cell.epochs),
        "board": plan(board_baseline(result), cell.epochs),
    }
    prepared = prepared_of(study)
    folds = fold_plans(prepared)
    number = len(folds) // 2
    at_rate = {
        f"same_rate {fold}": replace(folds[f"baseline {fold}"], learning_rate=folds[f"winner {fold}"].learning_rate)
        for fold in range(number)
    }
    scores = fresh.scores({**arms, **folds, **at_rate}, predictor)
    own = Gains.of(scores, [""])
    estimated = Gains.of(scores, [f" {fold}" for fold in range(number)]) if number else own
    return {
        **own.values(), "true_error": own.plain.error,
        **{f"{name}_folds": value for name, value in estimated.values().items() if number},
        "true_here": gain_here(
            cell, prepared, folds or {name: arms[name] for name in ("winner", "baseline")}, rng, args=args,
            predictor=predictor,
        ),
        "oracle": estimated.is_shown, "oracle_loss": estimated.is_shown and estimated.same_rate.is_shown,
        "top_true": Gain.of(scores, [("top", "board")]).value,
    }  # fmt: skip


# ------------------------------------------------------------------ its truth


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one arm, by sample it was trained on; above is better.

    all: on the rows of the truth; blocks: `(samples, blocks)`, on blocks of these; fresh: on a test set of its own.
    """

    all: np.ndarray
    blocks: np.ndarray
    fresh: np.ndarray


@dataclass(frozen=True, slots=True)
class Gain:
    """The true gain of one arm over another, or its mean over such pairs of outer folds.

    error: its standard error, of samples and of rows; is_shown: whether a t-test at 95% of the fresh test sets says so.
    """

    value: float
    error: float
    is_shown: bool

    @classmethod
    def of(cls, scores: Mapping[str, Scores], pairs: Sequence[tuple[str, str]]) -> Gain:
        from scipy import stats

        gains, blocks, fresh = (
            np.mean([getattr(scores[one], rows) - getattr(scores[other], rows) for one, other in pairs], axis=0)
            for rows in ("all", "blocks", "fresh")
        )
        done = np.isfinite(gains)
        gains, blocks, fresh = gains[done], blocks[done], fresh[done]
        error = np.hypot(stats.sem(gains), stats.sem(blocks.mean(0)))
        limit = fresh.mean() - stats.t.ppf(0.975, len(fresh) - 1) * stats.sem(fresh)
        return cls(float(gains.mean()), float(error), bool(limit > 0))


@dataclass(frozen=True, slots=True)
class Gains:
    """The true gains of winner over baseline: as they are, at the winner's learning rate, with tuned decisions."""

    plain: Gain
    same_rate: Gain
    tuned: Gain | None

    @classmethod
    def of(cls, scores: Mapping[str, Scores], ends: Sequence[str]) -> Gains:
        """Return those of the arms whose names have these ends, ` 0` in the first outer fold; their mean of several."""

        def gain(other: str, tuned: str = "") -> Gain:
            return Gain.of(scores, [(f"winner{end}{tuned}", f"{other}{end}{tuned}") for end in ends])

        is_tuned = f"winner{ends[0]}_tuned" in scores
        return cls(gain("baseline"), gain("same_rate"), gain("baseline", "_tuned") if is_tuned else None)

    @property
    def is_shown(self) -> bool:
        """Whether the oracle says "better"."""
        return self.plain.is_shown and (self.tuned is None or self.tuned.is_shown)

    def values(self) -> dict[str, float | None]:
        """Return the gains as a line has them."""
        tuned = self.tuned.value if self.tuned else None
        return {"true": self.plain.value, "true_same_rate": self.same_rate.value, "true_tuned": tuned}


def kind(arm: str) -> str:
    """Return an arm without the number of its outer fold."""
    return arm.split(maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Fresh:
    """Fresh samples as large as the development rows of a study, as the folds of a problem.

    The test rows of a fold are a fresh test set of its own, then the rows of the truth, which all folds share. Initial
    weights are those of `seed` and the following ones: were they the same in all studies, so would be their luck.
    """

    prepared: Any
    problem: Any
    own: int
    seed: int

    @classmethod
    def drawn(cls, cell: Cell, rng: np.random.Generator, args: argparse.Namespace) -> Fresh:
        """Return fresh samples, each with test rows of its own."""
        development, own = cell.rows - cell.test_rows, cell.test_rows
        rows = np.arange(args.samples * (development + own)).reshape(args.samples, -1)
        samples = [(part[:development], part[development:]) for part in rows]
        return cls._of(cell, cell.sample(rng, rows.size + args.truth), samples, args, _seed(rng))

    @classmethod
    def here(
        cls, cell: Cell, developments: Sequence[np.ndarray], rng: np.random.Generator, args: argparse.Namespace
    ) -> Fresh:
        """Return further splits of rows of the study, `rows.npz`, each with fresh test rows."""
        own, number = cell.test_rows, len(developments)
        fresh = cell.sample(rng, number * own + args.truth)
        with np.load("rows.npz") as known:
            arrays = {name: np.concatenate([known[name], values]) for name, values in fresh.items()}
        tests = cell.rows + np.arange(number * own).reshape(number, own)
        samples = [(rng.permutation(rows), test) for rows, test in zip(developments, tests, strict=True)]
        return cls._of(cell, arrays, samples, args, _seed(rng))

    @classmethod
    def _of(
        cls, cell: Cell, arrays: Mapping[str, np.ndarray], samples: Sequence[tuple[np.ndarray, np.ndarray]],
        args: argparse.Namespace, seed: int,
    ) -> Fresh:  # fmt: skip
        """Return these rows, of which the last are those of the truth; samples: development and test rows of each."""
        from lossreg.data import splits

        source = Path("fresh.npz").absolute()
        np.savez(source, **arrays)
        number = len(arrays["y"])
        shared, development = np.arange(number - args.truth, number), len(samples[0][0])
        training = development - splits.left_out(development)
        cuts = [
            splits.Rows3(rows[:training], rows[training:], np.concatenate([test, shared])) for rows, test in samples
        ]
        prepared = prepared_of(cell.study(source, 0))
        decisive = np.unique(np.concatenate([rows for rows, _ in samples]))
        dataset = prepared.problem.dataset.loaded.dataset(cuts, decisive)
        return cls(prepared, replace(prepared.problem, dataset=dataset), cell.test_rows, seed)

    def scores(
        self, arms: Mapping[str, Any], predictor: Any, only: Mapping[str, range] | None = None
    ) -> dict[str, Scores]:
        """Train every arm on every sample, or on some alone, equal plans once; return the scores by arm.

        Winners and baselines, those of outer folds too, are there with their decision tuned as well, where it can be.
        """
        from lossreg.search.arms import BASELINE, TUNED, WINNER

        samples = range(len(self.problem.folds))
        same = {name: name if only else (plan, kind(name) in (WINNER, BASELINE)) for name, plan in arms.items()}
        first = {name: next(other for other in arms if same[other] == same[name]) for name in arms}
        asked = {
            (name, sample): replace(arms[name], fold=sample, seed=self.seed + sample)
            for name in dict.fromkeys(first.values())
            for sample in (only[name] if only else samples)
        }
        predicted: dict[str, dict[int, np.ndarray]] = {}
        for (name, sample), weights in self._trained(asked):
            by_arm = predictor.of_arm(kind(name), self.problem, asked[name, sample], weights)
            for arm, values in by_arm.items():
                predicted.setdefault(name + arm.removeprefix(kind(name)), {})[sample] = values
        scores = {name: self._scored(by_sample) for name, by_sample in predicted.items()}
        ends = ("", TUNED)
        return {
            name + end: scores[other + end] for name, other in first.items() for end in ends if other + end in scores
        }

    def _trained(self, asked: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
        from lossreg.search import retraining, sizing
        from lossreg.search.policy import SearchPolicy
        from lossreg.training.pool import Pool

        # all losses of the study, so that the graph is the same whichever won
        variants = list(self.prepared.proposer.variants())
        populations = sizing.Populations(self.problem, variants, {}, len(asked))
        pool = Pool([], populations=populations, slots=min(LANES_AT_MOST, len(asked)))
        keys, plans, policy = list(asked), list(asked.values()), SearchPolicy.of(self.prepared)
        try:
            for trained in retraining.train(pool, plans, policy, wants_weights=True):
                if trained.weights is not None:
                    yield keys[trained.index], trained.weights
        finally:
            pool.shutdown()

    def _scored(self, predicted: Mapping[int, np.ndarray]) -> Scores:
        """Return the scores of predictions `(rows, ...)` by sample."""
        metric, labels = self.problem.metric, [fold.test.y for fold in self.problem.folds]
        sign = 1.0 if metric.direction == "maximize" else -1.0
        shared, parts = labels[0][self.own :], np.array_split(np.arange(len(labels[0]) - self.own), BLOCKS)
        scores = Scores(*(np.full((len(labels), *more), np.nan) for more in ((), (BLOCKS,), ())))
        for sample, values in predicted.items():
            truth, own = values[None, self.own :], values[None, : self.own]
            scores.all[sample] = sign * metric.score_lanes(shared, truth)[0]
            scores.blocks[sample] = [sign * metric.score_lanes(shared[part], truth[:, part])[0] for part in parts]
            scores.fresh[sample] = sign * metric.score_lanes(labels[sample][: self.own], own)[0]
        return scores


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**30))


# ------------------------------------------------------------------ many studies


def run(cell: Cell, numbers: range, args: argparse.Namespace) -> None:
    """Simulate the studies of these numbers that `--out` has not, and append a line for each."""
    from lossreg.search.predictions import Predictor
    from lossreg.training import programs, solo

    solo.SAMPLES = args.truth + cell.rows  # predicted at a time: one call per training
    known = verdict_report.lines([args.out]) if args.out.exists() else []
    done = {line["study"] for line in known if Cell.of(line) == cell}
    predictor = Predictor()
    with programs.shared():
        for number in (number for number in numbers if number not in done):
            with tempfile.TemporaryDirectory() as folder, chdir(folder):
                line = simulated(cell, number, args, predictor)
            with args.out.open("a") as file:
                file.write(json.dumps({**asdict(cell), "study": number, **line}) + "\n")
            print(f"{cell.design} {number}: {line['answer']}, {line['seconds']:.1f} s", file=sys.stderr, flush=True)
            gc.collect()
            if not gc.get_freeze_count():
                gc.freeze()  # what is shared stays, and is not looked through again


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=["names"])
    parser.add_argument("--rows", nargs="+", type=int, default=[300], help="of a data set")
    parser.add_argument("--imbalance", nargs="+", type=float, default=[1.0], help="rows of the first class per other")
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0], help="share of random labels, or of outliers")
    parser.add_argument("--metric", help="by default accuracy, or that of the design")
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--decision", choices=("default", "tuned"), help="search.decision")
    parser.add_argument("--outer", type=int, help="verdict.outer, of nested cross-validation")
    parser.add_argument("--epochs", type=int, default=20, help="with more, wrong labels are learnt by heart")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the number of the first study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=20, help="that settings are trained on for the truth")
    parser.add_argument("--truth", type=int, default=20_000, help="rows of the truth")
    parser.add_argument("--out", type=Path, default=Path("verdict.jsonl"))
    parser.add_argument("--report", nargs="+", type=Path, metavar="FILE", help="print the table of these files")
    parser.add_argument("--plot", type=Path, help="with --report, a picture of power over effect size")
    args = parser.parse_args()
    args.out = args.out.absolute()
    return args


def main() -> None:
    args = arguments()
    if args.report:
        verdict_report.show(args.report, args.plot)
        return
    for design, rows, imbalance, noise in itertools.product(args.designs, args.rows, args.imbalance, args.noise):
        metric = args.metric or METRICS.get(design, "accuracy")
        cell = Cell(
            design, rows, metric, imbalance, noise, args.optimizer, args.trials, args.repeats, args.outer,
            args.decision, args.seed, args.epochs,
        )  # fmt: skip
        run(cell, range(args.first, args.first + args.studies), args)


if __name__ == "__main__":
    main()
