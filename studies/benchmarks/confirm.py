"""What confirmation is worth: the settings that a search chooses with it and without it, on rows that it never saw.

    KERAS_BACKEND=jax python studies/benchmarks/confirm.py --seeds 8 --out confirm.jsonl
    python studies/benchmarks/confirm.py --report confirm.jsonl
    python studies/benchmarks/confirm.py --report random.jsonl --against confirm.jsonl

Each data set is cut anew per seed; a quarter of its rows are test rows. lossreg's own search runs on the others, with
confirmation. Five settings are then trained 5 times on splits of these rows and scored on the test rows: the first of
the search and the first that was confirmed, of all losses and of the baseline, of which the learning rate alone is
searched; and the baseline as published, which nothing chose. Optimism is a score less that on the test rows, less the
same of the setting that nothing chose: some cuts have easier test rows than others. What `--out` holds already is left
out, so that a run can be continued.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets, metrics
from sklearn.model_selection import train_test_split

import lossreg

REPEATS = 5
Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """A data set with its metric; noise: the share of its development rows that get the label of another class."""

    load: Any
    metric: str
    noise: float = 0.0


def imbalanced() -> tuple[np.ndarray, np.ndarray]:
    """Return 2,000 rows of two classes, 1 in 20 of the second."""
    made: tuple[np.ndarray, np.ndarray] = datasets.make_classification(
        2000, 20, n_informative=6, weights=[0.95], class_sep=0.8, flip_y=0.0, random_state=0
    )
    return made


def of_sklearn(name: str) -> Any:
    """Return a function that loads a data set of scikit-learn."""
    return lambda: getattr(datasets, f"load_{name}")(return_X_y=True)


CASES = {
    "wine": Case(of_sklearn("wine"), "accuracy"),
    "diabetes": Case(of_sklearn("diabetes"), "r2"),
    "breast_cancer": Case(of_sklearn("breast_cancer"), "balanced_accuracy"),
    "digits": Case(of_sklearn("digits"), "accuracy"),
    "digits, 40% flipped": Case(of_sklearn("digits"), "accuracy", 0.4),
    "1:20": Case(imbalanced, "balanced_accuracy"),
}
SCORERS = {
    "accuracy": metrics.accuracy_score, "r2": metrics.r2_score, "balanced_accuracy": metrics.balanced_accuracy_score
}  # fmt: skip


def rows_of(case: Case, seed: int) -> Arrays:
    """Return development and test rows; labels of the test rows are as they are."""
    x, y = case.load()
    stratify = None if case.metric == "r2" else y
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.25, random_state=seed, stratify=stratify)
    y = flipped(y, case.noise, np.random.default_rng(seed)) if case.noise else y
    return {"x_train": x.astype(np.float32), "y_train": y, "x_test": x_test.astype(np.float32), "y_test": y_test}


def flipped(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return labels of which this share is replaced by one of the other classes, each as likely."""
    classes, indexes = np.unique(y, return_inverse=True)
    others = (indexes + rng.integers(1, len(classes), len(y))) % len(classes)
    return np.where(rng.random(len(y)) < share, classes[others], y)


def document(case: Case, seed: int, trials: int, sampler: str) -> dict[str, Any]:
    """Return the study."""
    return {
        "name": "confirm", "search": {"trials": trials, "metric": case.metric, "seed": seed, "sampler": sampler},
        "verdict": {"enabled": False}, "tracking": {"enabled": False},
    }  # fmt: skip


def measured(case: Case, seed: int, trials: int, sampler: str = "tpe") -> dict[str, Any]:
    """Return the scores of one study: in the search, confirmed, and on the test rows."""
    study, rows = document(case, seed, trials, sampler), rows_of(case, seed)
    result = lossreg.tune(study, data=rows)
    arms = {
        "first": first_of_search(result, result.losses), "confirmed": result.best,
        "baseline first": first_of_search(result, [result.baseline]),
        "baseline confirmed": next(row.best for row in result.ranking() if row.is_baseline),
        "published": min(result.ranked(result.baseline), key=lambda trial: trial.number),
    }  # fmt: skip
    tested, fresh = retrained_scores(study, rows, arms, SCORERS[case.metric])
    seconds = {name: result.seconds.get(name) for name in ("total", "training", "confirm")}
    return {
        "test": tested, "search": {name: trial.score for name, trial in arms.items()},
        "fresh": fresh, "seconds": seconds,
        "losses": {name: trial.candidate for name, trial in arms.items()},
    }  # fmt: skip


def first_of_search(result: Any, losses: Sequence[str]) -> Any:
    """Return the trial with the best validation score of these losses."""
    sign = 1 if result.direction == "maximize" else -1
    return max((trial for name in losses for trial in result.ranked(name)), key=lambda trial: sign * trial.score)


def retrained_scores(
    study: Mapping[str, Any], rows: Arrays, arms: Mapping[str, Any], score: Any
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the mean score of each setting, trained on splits of the development rows: on test rows, on fresh splits.

    The latter are those of the confirmation.
    """
    from lossreg.config import study as studies
    from lossreg.search import confirming_stage, one_split, preparation, restore
    from lossreg.search.predictions import predicted_by_arm
    from lossreg.search.retrainer import Group, Retrainer
    from lossreg.storage.observer import Observer

    prepared = preparation.prepare(studies.of(study, (), rows), rehearsed=False)
    plans = {name: restore.plan_of(prepared, trial) for name, trial in arms.items()}
    numbers, splits = np.arange(len(rows["y_test"])), range(one_split.FIRST, one_split.FIRST + REPEATS)
    with one_split.retrainer(prepared, Observer(), range(REPEATS)) as retrainer:
        predicted = predicted_by_arm(retrainer, [Group(plans)], [numbers], splits, "test rows")
    y = prepared.problem.dataset.scored_labels(prepared.problem.dataset.test.y)
    tested = {name: float(np.mean([score(y, repeat) for repeat in repeats])) for name, repeats in predicted.items()}
    by_number = Group({str(trial.number): plans[name] for name, trial in arms.items()})
    first, first_training = confirming_stage.FIRST_SEED, confirming_stage.FIRST_TRAINING_SEED
    with Retrainer.of_study(prepared, Observer(), range(REPEATS), first) as retrainer:
        (measured,), _ = retrainer.scores([by_number], REPEATS, "fresh splits", first_seed=first_training)
    return tested, {name: float(np.mean(measured.scores[trial.number])) for name, trial in arms.items()}


def report(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print the table: means over seeds, and differences with their standard errors."""
    columns = (
        "data (metric)", "seeds", "first of the search -> confirmed", "baseline -> confirmed", "confirmed - baseline",
        "optimism -> of the confirmed score",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for name in dict.fromkeys(line["case"] for line in lines):
        of_case = [line for line in lines if line["case"] == name]
        test = {arm: np.array([line["test"][arm] for line in of_case]) for arm in of_case[0]["test"]}
        optimism = optimisms(of_case, "search", "first")
        left = optimisms(of_case, "fresh", "confirmed")
        gains = test["confirmed"] - test["baseline confirmed"]
        print(
            f"| {name} ({CASES[name].metric}) | {len(of_case)} | {test['first'].mean():.3f} -> "
            f"{test['confirmed'].mean():.3f} | {test['baseline first'].mean():.3f} -> "
            f"{test['baseline confirmed'].mean():.3f} | {with_error(gains)} | {with_error(optimism)} -> "
            f"{with_error(left)} |"
        )
    for name, scores, arm in (("without", "search", "first"), ("with", "fresh", "confirmed")):
        clean = [line for line in lines if not CASES[line["case"]].noise]
        print(
            f"optimism {name} confirmation, where labels are as they are: {with_error(optimisms(clean, scores, arm))}"
        )
    for one, other in (("confirmed", "first"), ("confirmed", "baseline confirmed")):
        print(f"{one} against {other}: {duel(lines, one, other)}")


def optimisms(lines: Sequence[Mapping[str, Any]], scores: str, arm: str) -> np.ndarray:
    """Return by how much the scores by which a setting was chosen surpass those on test rows, less luck of the cut."""

    def surplus(line: Mapping[str, Any], arm: str) -> float:
        return float(line[scores][arm] - line["test"][arm])

    return np.array([surplus(line, arm) - surplus(line, "published") for line in lines])


def compare(lines: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> None:
    """Print how the confirmed setting of each study scored on the test rows beside that of the same one in others."""
    tested = {(line["case"], line["seed"]): line["test"]["confirmed"] for line in others}
    pairs = [(line["case"], line["test"]["confirmed"] - tested[key]) for line in lines
             if (key := (line["case"], line["seed"])) in tested]  # fmt: skip
    for name in (*dict.fromkeys(case for case, _ in pairs), "all"):
        gains = np.array([gain for case, gain in pairs if name in (case, "all")])
        print(f"{name}: {(gains > 0).sum()} to {(gains < 0).sum()}, {(gains == 0).sum()} equal, {with_error(gains)}")


def duel(lines: Sequence[Mapping[str, Any]], one: str, other: str) -> str:
    """Return how often one setting scored better on the test rows than another, and by how much on average."""
    gains = np.array([line["test"][one] - line["test"][other] for line in lines])
    return f"{(gains > 0).sum()} to {(gains < 0).sum()}, {(gains == 0).sum()} equal, mean {with_error(gains)}"


def with_error(values: np.ndarray) -> str:
    """Return mean and standard error."""
    return f"{values.mean():+.4f} +- {values.std(ddof=1) / np.sqrt(len(values)):.4f}"


def read(*files: Path) -> list[dict[str, Any]]:
    """Return the lines of files."""
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def run(out: Path, seeds: int, cases: Iterable[str], measured: Callable[[Case, int], Mapping[str, Any]]) -> None:
    """Add a line for each case and seed that a file lacks."""
    done, out = {(line["case"], line["seed"]) for line in (read(out) if out.exists() else ())}, out.absolute()
    for seed in range(seeds):
        for name in cases:
            if (name, seed) in done:
                continue
            with tempfile.TemporaryDirectory() as folder, chdir(folder):
                line = {"case": name, "seed": seed, **measured(CASES[name], seed)}
            with out.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            print(name, seed, line["test"], file=sys.stderr)


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--out", type=Path, default=Path("confirm.jsonl"))
    parser.add_argument("--report", nargs="+", type=Path)
    parser.add_argument("--against", type=Path, help="the same studies with another sampler, or budget")
    args = parser.parse_args()
    if args.report:
        lines = read(*args.report)
        report(lines)
        if args.against:
            compare(lines, read(args.against))
        return
    run(args.out, args.seeds, args.cases, lambda case, seed: measured(case, seed, args.trials, args.sampler))


if __name__ == "__main__":
    main()
