"""Seconds per trial of the same search, after imports: lossreg and its peers, one process each, in turn.

    python studies/benchmarks/peers.py [--trials 64 256] [--peer-trials 4] [--repeats 1] [--only lossreg ...]
                                       [--backend jax]

The search: scikit-learn's digits, 30% validation, MLP 64-64, batch 32, 20 epochs, Adam, over
cross-entropy, focal (gamma), label smoothing (epsilon) and the learning rate; the metric is
validation accuracy, taken every epoch. All ways see the same rows. Peers may run fewer trials: their cost
is per trial, while lossreg's start, preflight and tracing are shared by all trials, which is why it is timed at
several numbers of them. Everything after the imports of Keras, Optuna and scikit-learn is counted, MLflow's own
import, its new database and the saved model too. A peer's start weighs the more the fewer its trials: what
its trials after the first cost alone stands beside. `--backend` is lossreg's alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
EPOCHS, BATCH, SEED = 20, 32, 0
LOSSES = ["cross_entropy", "focal", "label_smoothing_ce"]
RATE = (1e-4, 1e-2)
STUDY = {
    "name": "peers",
    "data": {"source": "sklearn:digits", "test": 0.2, "validation": 0.3},
    "model": {"hidden": [64, 64]},
    "train": {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": {"low": RATE[0], "high": RATE[1], "log": True}},
    "search": {"metric": "accuracy", "seed": SEED},
    "losses": {"cross_entropy": {}, "focal": {"alpha": "none"}, "label_smoothing_ce": {}},
    "verdict": {"enabled": False},
}


def rows():
    from lossreg import data

    section = STUDY["data"]
    loaded = data.load(section["source"], test=section["test"], validation=section["validation"], seed=SEED)
    return loaded.train, loaded.validation


def model():
    import keras

    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((64,)), dense(64, "relu"), dense(64, "relu"), dense(10)])


def loss(name, gamma, epsilon):
    import lossreg

    settings = {"cross_entropy": {}, "focal": {"gamma": gamma}, "label_smoothing_ce": {"eps": epsilon}}
    return lossreg.get(name, from_logits=True, **settings[name])


def compiled(name, gamma, epsilon, rate, **compile_options):
    import keras

    built = model()
    built.compile(keras.optimizers.Adam(rate), loss(name, gamma, epsilon), metrics=["accuracy"], **compile_options)
    return built


def suggested(trial):
    name = trial.suggest_categorical("loss", LOSSES)
    gamma = trial.suggest_float("gamma", 0, 5) if name == "focal" else 0.0
    epsilon = trial.suggest_float("eps", 0, 0.3) if name == "label_smoothing_ce" else 0.0
    return name, gamma, epsilon, trial.suggest_float("learning_rate", *RATE, log=True)


def fit(built, train, validation, callbacks=()):
    import numpy as np

    y, y_val = np.eye(10, dtype="float32")[train.y], np.eye(10, dtype="float32")[validation.y]
    return built.fit(
        train.x, y, batch_size=BATCH, epochs=EPOCHS, validation_data=(validation.x, y_val), verbose=0,
        callbacks=list(callbacks),
    )  # fmt: skip


def run_lossreg(trials):
    import lossreg

    result = lossreg.tune({**STUDY, "search": {**STUDY["search"], "trials": trials}})
    assert result.counts["complete"] + result.counts["diverged"] == trials
    return {"best": result.best.score, "parts": result.seconds}


def _optuna(trials, objective):
    import optuna

    backend = optuna.storages.journal.JournalFileBackend("journal.log")
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=SEED),
    )
    ends = []
    study.optimize(objective, n_trials=trials, callbacks=[lambda study, trial: ends.append(time.perf_counter())])
    return {"best": study.best_value, "later": later(ends)}


def later(ends):
    """Seconds per trial after the first, from when each ended."""
    return (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else float("nan")


def run_optuna_fit(trials):
    """Optuna, `model.fit`, and MLflow's Keras callback in a run for each trial."""
    import mlflow

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("peers")
    train, validation = rows()

    def objective(trial):
        with mlflow.start_run():
            built = compiled(*suggested(trial))
            mlflow.log_params(trial.params)
            history = fit(built, train, validation, [mlflow.keras.MlflowCallback()])
        return history.history["val_accuracy"][-1]

    return _optuna(trials, objective)


def run_optuna_tuned(trials):
    """The same with all steps of an epoch in one execution, and one batched write to MLflow per trial."""
    import mlflow
    from mlflow.entities import Metric, Param, RunTag

    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    experiment = client.create_experiment("peers")
    train, validation = rows()
    steps = -(-len(train.y) // BATCH)

    def objective(trial):
        built = compiled(*suggested(trial), steps_per_execution=steps)
        history = fit(built, train, validation).history
        run = client.create_run(experiment).info.run_id
        now = int(time.time() * 1000)
        points = [
            Metric(name, value, now, epoch) for name, curve in history.items() for epoch, value in enumerate(curve)
        ]
        client.log_batch(
            run, points, [Param(k, str(v)) for k, v in trial.params.items()], [RunTag("loss", trial.params["loss"])]
        )
        client.set_terminated(run)
        return history["val_accuracy"][-1]

    return _optuna(trials, objective)


def run_keras_tuner(trials):
    """KerasTuner's Bayesian search; a loss is a choice of names there, built inside `build_model`."""
    import keras_tuner
    import numpy as np

    train, validation = rows()

    def build(hp):
        name = hp.Choice("loss", LOSSES)
        with hp.conditional_scope("loss", ["focal"]):
            gamma = hp.Float("gamma", 0, 5)
        with hp.conditional_scope("loss", ["label_smoothing_ce"]):
            epsilon = hp.Float("eps", 0, 0.3)
        return compiled(name, gamma or 0.0, epsilon or 0.0, hp.Float("learning_rate", *RATE, sampling="log"))

    ends = []

    class Timed(keras_tuner.BayesianOptimization):
        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            ends.append(time.perf_counter())

    tuner = Timed(
        build,
        keras_tuner.Objective("val_accuracy", "max"),
        max_trials=trials,
        seed=SEED,
        directory="kt",
        overwrite=True,
    )
    y, y_val = np.eye(10, dtype="float32")[train.y], np.eye(10, dtype="float32")[validation.y]
    tuner.search(train.x, y, batch_size=BATCH, epochs=EPOCHS, validation_data=(validation.x, y_val), verbose=0)
    return {"best": tuner.oracle.get_best_trials(1)[0].score, "later": later(ends)}


WAYS = {
    "lossreg": (run_lossreg, "lossreg, journal and MLflow store included"),
    "optuna_fit": (run_optuna_fit, "Optuna + model.fit + MLflow's Keras callback"),
    "optuna_tuned": (run_optuna_tuned, "Optuna + model.fit(steps_per_execution=all) + one MLflow batch a trial"),
    "keras_tuner": (run_keras_tuner, "KerasTuner, no MLflow"),
}


def child(way, trials):
    """Import everything, then time the search alone; prints one JSON line."""
    import keras  # noqa: F401
    import optuna
    import sklearn.model_selection  # noqa: F401

    import lossreg.registry.keras_loss
    import lossreg.search.run  # noqa: F401

    if way == "keras_tuner":
        import keras_tuner  # noqa: F401
    if way == "lossreg":
        from lossreg.training import population, solo  # noqa: F401
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    begin = time.perf_counter()
    said = WAYS[way][0](trials)
    print(json.dumps({"seconds": time.perf_counter() - begin, "trials": trials, **said}))


def measured(way, trials, backend=""):
    """Seconds per trial of one way, in a process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), "--child", way, "--trials", str(trials)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": "", **({"KERAS_BACKEND": backend} if backend else {})}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            sys.exit(f"{way} failed:\n{done.stderr[-3000:]}")
        said = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{way}: {said['seconds'] / trials:.3f} s per trial ({trials} trials, {said})", file=sys.stderr)
    return said["seconds"] / trials, said.get("later")


def table(costs):
    """Medians in seconds per trial, and how many times lossreg's at each of its numbers of trials."""
    medians = {run: statistics.median(cost for cost, _ in each) for run, each in costs.items()}
    own = [cost for (way, _), cost in medians.items() if way == "lossreg"]
    for (way, trials), cost in medians.items():
        ratios = "  ".join(f"{cost / one:6.1f} x" for one in own)
        others = [after for _, after in costs[way, trials] if after is not None]
        alone = f" (after the first {statistics.median(others):.3f})" if others else ""
        yield f"{cost:8.3f} s per trial  {ratios}   {WAYS[way][1]}, {trials} trials{alone}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--peer-trials", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--backend", choices=["tensorflow", "jax"], default="")
    parser.add_argument("--child", choices=list(WAYS))
    args = parser.parse_args()
    if args.child:
        child(args.child, args.trials[0])
        return
    costs = {(way, n): [] for way in args.only for n in (args.trials if way == "lossreg" else [args.peer_trials])}
    for _ in range(args.repeats):
        for (way, trials), found in costs.items():
            found.append(measured(way, trials, args.backend if way == "lossreg" else ""))
    print("\n".join(table(costs)))


if __name__ == "__main__":
    main()
