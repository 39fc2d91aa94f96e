"""Studies of known truth: how often the verdict is right, and what the top of the leaderboard is worth beside it.

    python studies/benchmarks/verdict.py [--designs names noise ...] [--rows 300] [--metric accuracy] [--studies 40]

Every study draws a fresh data set from a generator and runs lossreg's own search, choice and verdict. The truth is what
the same settings reach when they are trained on further fresh samples of the same size and scored on `--truth` fresh
rows. For metrics that are maximised. Printed per design, with the one-sided 95% bound of Clopper and Pearson:

    better      verdicts that say so; false ones are those whose winner has no true gain over the baseline
    by loss     the same of "because of the loss", with the true gain over the baseline at the winner's learning rate
    covered     intervals that hold the true gain
    bias        the estimated gain minus the true one, with its standard error
    top         studies whose leaderboard has another loss than the baseline first, its gain there and its true gain
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

FEATURES, EPOCHS, BATCH = 10, 20, 32
SAMPLES = 10  # fresh samples that a setting is trained on for its true score

DESIGNS = {
    # nothing differs
    "names": {"cross_entropy": {}, **{f"again_{i}": {"loss": "cross_entropy"} for i in range(4)}},
    "multiple": {"cross_entropy": {}, "triple": {"function": "triple", "activation": "softmax", "target": "onehot"}},
    "alpha": {"cross_entropy": {}, "weighted_ce": {"alpha": "per_class"}},
    # something may
    "losses": {"cross_entropy": {}, "focal": {}, "gce": {}, "label_smoothing_ce": {}, "class_balanced_ce": {}},
    "noise": {"cross_entropy": {}, "focal": {}, "gce": {}, "label_smoothing_ce": {}, "class_balanced_ce": {}},
}
WRONG = {"noise": 0.3}  # the share of training and test labels that are drawn at random


def triple(y_true, y_pred):
    """Three times cross-entropy of raw scores."""
    import keras

    return 3 * keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True)


def sample(rng, rows, design, imbalance):
    """Rows of three classes, normal around means at equal distances; `imbalance` times as many of one as of another."""
    share = np.array([imbalance, 1.0, 1.0]) / (imbalance + 2)
    y = rng.choice(3, rows, p=share)
    means = np.zeros((3, FEATURES))
    means[[0, 1, 2], [0, 1, 2]] = 1.5
    x = means[y] + rng.normal(size=(rows, FEATURES))
    wrong = rng.random(rows) < WRONG.get(design, 0.0)
    return x.astype(np.float32), np.where(wrong, rng.integers(0, 3, rows), y)


def study(design, metric, seed, args, *, source, test):
    losses = {name: dict(loss) for name, loss in DESIGNS[design].items()}
    for loss in losses.values():
        if loss.get("function") == "triple":
            loss["function"] = triple
    return {
        "name": "simulated",
        "data": {"source": source, "test": test, "validation": 0.25, "task": "multiclass"},
        "model": {"hidden": [32]},
        "train": {"epochs": EPOCHS, "batch_size": BATCH},
        "search": {"trials": args.trials, "metric": metric, "seed": seed},
        "losses": losses,
        "verdict": {"repeats": args.repeats},
        "tracking": {"enabled": False},
    }


def simulated(design, metric, number, args):
    """One study, and the true scores of what it compared."""
    import lossreg

    rng = np.random.default_rng([args.seed, number])
    np.savez("rows.npz", **dict(zip("xy", sample(rng, args.rows, design, args.imbalance), strict=True)))
    document = study(design, metric, number, args, source="rows.npz", test=0.2)
    result = lossreg.tune(document)
    verdict, top = result.verdict, result.best
    rate = {"learning_rate": verdict.winner.learning_rate}
    trial = {each.number: each for each in result.trials}
    settings = {
        "winner": plan(trial[verdict.winner.trial]),
        "baseline": plan(trial[verdict.baseline.trial]),
        "same_rate": replace(plan(trial[verdict.baseline.trial]), **rate),
        "top": plan(top),
    }
    scores = true_scores(settings, design, metric, rng, args)
    board = next(row.best.score for row in result.leaderboard() if row.is_baseline)
    main = verdict.against_baseline
    return {
        "answer": verdict.answer.value, "cause": verdict.cause.value if verdict.cause else None,
        "difference": main.difference, "low": main.low, "high": main.high,
        "true": scores["winner"] - scores["baseline"], "true_same_rate": scores["winner"] - scores["same_rate"],
        "is_winner": verdict.recommended == verdict.winner,
        "top_is_other": top.candidate != result.baseline, "top_gain": top.score - board,
        "top_true": scores["top"] - scores["baseline"],
    }  # fmt: skip


def plan(trial):
    from lossreg.training.interface import Plan

    return Plan(trial.candidate, trial.loss_params, trial.learning_rate, EPOCHS)


def true_scores(settings, design, metric, rng, args):
    """The mean score of each setting on fresh rows, trained on fresh samples as large as those of the verdict."""
    from lossreg.config import study as studies
    from lossreg.search import preparation, retraining, sizing
    from lossreg.search.policy import SearchPolicy
    from lossreg.search.predictions import Predictor

    development = round(0.8 * args.rows)
    pool = SAMPLES * development
    x, y = sample(rng, pool + args.truth, design, args.imbalance)
    np.savez("fresh.npz", x=x, y=y)
    share = args.truth / (pool + args.truth)
    spec = studies.of(study(design, metric, 0, args, source="fresh.npz", test=share))
    prepared = preparation.prepare(spec)
    dataset = prepared.problem.dataset.resampled(range(SAMPLES), 0.85 * development / pool)
    problem = replace(prepared.problem, dataset=dataset)
    plans = {
        (name, fold): replace(each, fold=fold, seed=fold) for name, each in settings.items() for fold in range(SAMPLES)
    }
    trainers, predictor = sizing.retraining_pool(prepared, problem, list(plans.values())), Predictor()
    scores = {name: [] for name in settings}
    policy = SearchPolicy.of(prepared)
    for trained in retraining.train(trainers, list(plans.values()), policy, wants_weights=True):
        (name, _), each = list(plans.items())[trained.index]
        predicted = predictor.predict(problem, each, trained.weights)
        scores[name].append(problem.metric.score(dataset.test.y, predicted))
    trainers.shutdown()
    return {name: float(np.mean(values)) for name, values in scores.items()}


def report(design, found):
    """The lines of one design."""
    from scipy.stats import binomtest

    def share(hits):
        bound = binomtest(sum(hits), len(hits)).proportion_ci(0.90, "exact").high
        return f"{sum(hits)} of {len(hits)} (at most {100 * bound:.1f}%)"

    better = [each["answer"] == "better" for each in found]
    by_loss = [each["cause"] == "loss" for each in found]
    false = [is_better and each["true"] <= 0 for is_better, each in zip(better, found, strict=True)]
    false_loss = [is_loss and each["true_same_rate"] <= 0 for is_loss, each in zip(by_loss, found, strict=True)]
    bias = np.array([each["difference"] - each["true"] for each in found])
    top = [each for each in found if each["top_is_other"]]
    covered = [each["low"] <= each["true"] <= each["high"] for each in found]
    error = bias.std(ddof=1) / np.sqrt(len(bias)) if len(bias) > 1 else np.nan
    yield f"{design}: better {sum(better)}, false {share(false)}; by loss {sum(by_loss)}, false {share(false_loss)}"
    yield f"    covered {sum(covered)} of {len(covered)}; bias {bias.mean():+.4f} +- {error:.4f}"
    gains = [(each["top_gain"], each["top_true"]) for each in top]
    means = "gain {:+.4f}, true {:+.4f}".format(*np.mean(gains, axis=0)) if gains else "none"
    yield f"    top of the leaderboard is another loss in {len(top)} of {len(found)}: {means}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=["names", "losses", "noise"])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--imbalance", type=float, default=1.0)
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--truth", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a file to which a line of JSON per study is added")
    args = parser.parse_args()
    out = args.out.absolute() if args.out else None
    for design in args.designs:
        found = []
        for number in range(args.studies):
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                found.append(simulated(design, args.metric, number, args))
                os.chdir("/")
            print(f"{design} {number + 1}/{args.studies}: {found[-1]['answer']}", file=sys.stderr, flush=True)
            if out:
                with out.open("a") as file:
                    file.write(
                        json.dumps({"design": design, "study": number, **vars(args), **found[-1]}, default=str) + "\n"
                    )
        print("\n".join(report(design, found)), flush=True)


if __name__ == "__main__":
    main()
