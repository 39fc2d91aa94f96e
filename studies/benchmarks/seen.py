"""What it costs in score that the sampler of a long study is shown the newest trials alone.

    python studies/benchmarks/seen.py [--trials 800] [--seeds 4]

Trials are asked for as in a study, of several losses with parameters and a learning rate, and told a made-up score with
noise. For each seed the search is run twice: as it is, and shown every trial. The best score without its noise is
printed, at its most 0, and the seconds that the sampler took.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import optuna

from lossreg.search import sampler

LOSSES = {"cross_entropy": 0.0, "focal": 0.02, "label_smoothing": 0.01, "poly": 0.015, "gce": 0.005}
NOISE = 0.01


def drawn(trial):
    """Return the score of a trial, without noise: at its most 0."""
    loss = trial.suggest_categorical("loss", list(LOSSES))
    strength = trial.suggest_float(f"{loss}.strength", 0.0, 5.0)
    weight = trial.suggest_float(f"{loss}.weight", 0.1, 10.0, log=True)
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    dropout = trial.suggest_float("model.dropout", 0.0, 0.5)
    far = (strength - 1.7) ** 2 / 25 + math.log10(weight / 2) ** 2 / 4
    return LOSSES[loss] - 0.02 - 0.1 * far - 0.05 * math.log10(rate / 2e-3) ** 2 - 0.1 * (dropout - 0.2) ** 2


def searched(trials, seed, most):
    """Return the best true score among those that a search of so many trials tried, and the seconds it asked for."""
    sampler.MOST_SEEN = most
    study = optuna.create_study(direction="maximize", sampler=sampler.SeededSampler(seed))
    noise, best, spent = np.random.default_rng(seed), [], 0.0
    for _ in range(trials):
        begin = time.process_time()
        trial = study.ask()
        score = drawn(trial)
        spent += time.process_time() - begin
        best.append(score)
        study.tell(trial, score + noise.normal(0, NOISE))
    return max(best), float(np.mean(sorted(best)[-20:])), spent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=4)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("seed  shown            best   best 20   seconds")
    for seed in range(args.seeds):
        for name, most in (("newest", sampler.MOST_SEEN), ("all", args.trials + 1)):
            best, mean, spent = searched(args.trials, seed, most)
            print(f"{seed:4d}  {name:15s} {best:8.5f}  {mean:8.5f}  {spent:8.1f}", flush=True)
        sampler.MOST_SEEN = 256


if __name__ == "__main__":
    main()
