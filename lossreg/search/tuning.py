"""`tune`, as Python calls it: light, so that its first line is there before anything slow is imported."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from lossreg.search.shown import shown

if TYPE_CHECKING:
    from lossreg.search.result import Result
    from lossreg.storage.observer import Observer
    from lossreg.training.interface import Trainer


def tune(
    study: Any,
    overrides: Any = (),
    *,
    losses: Sequence[str] | Mapping[str, Any] | None = None,
    metric: str | Callable[..., Any] | None = None,
    model: Mapping[str, Any] | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    task: str | None = None,
    direction: str | None = None,
    target: str | Sequence[str] | None = None,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    data: Any = None,
    fresh: bool = False,
    allow_changed: bool = False,
    progress: Observer | bool | None = None,
    require_tracking: bool = False,
    trainers: Sequence[Trainer] | None = None,
    more: int | None = None,
) -> Result:
    """Run a study, or finish one that was begun: `tune("churn.toml")`, or `tune(X, y, losses=["focal", "gce"])`.

    study is a file, a table of its sections or a `StudySpec`, and `overrides` texts such as `search.trials=100`. Or
    they are rows and labels: arrays, a table of pandas, Polars or Arrow (which may have the labels as column `target`),
    inputs by name, a `tf.data.Dataset`. Then losses (names, or a table for each), metric, model (its section),
    trials, epochs, task, direction (of a metric of your own: `maximize` or `minimize`) and name stand for the keys of a
    study file, `settings` for further sections, and a study without a name is named by its content: the same call goes
    on with it, another one does not meet it.

    Of a study, `data` are its rows, where it names no source: a table of pandas, Polars or Arrow, `(x, y)` or `(x, y,
    weights)`, a dictionary of arrays, a finite `tf.data.Dataset`, and all else that a function may return, to be given
    again whenever the study goes on. `fresh` moves a former run aside; `allow_changed` goes on with a study that has
    changed where its trials and later ones can be compared, and moves the former run aside where they cannot; `more`
    adds so many trials to a study that was begun; `progress` is shown where you look (a notebook, a terminal, else
    lines on standard error), not with False, and told to an `Observer`; `require_tracking` makes a tracking server
    that does not answer an error; `trainers` stand in for the population and `model.fit`. Raises `InputError` for what
    is wrong with the study, `LossregError` when every trial failed.
    """
    begin = time.perf_counter()
    arguments = {"name": name, "target": target, "task": task, "losses": losses, "metric": metric, "trials": trials,
                 "model": model, "epochs": epochs, "direction": direction}  # fmt: skip
    switches = {"fresh": fresh, "allow_changed": allow_changed, "require_tracking": require_tracking}
    with shown(progress, "lossreg.tune: reading the study", fresh=fresh) as observer:
        run = _loaded()
        result = run.tuned(
            study, overrides, observer, data=data, arguments=arguments, settings=settings, switches=switches,
            trainers=trainers, begin=begin, added=more,
        )  # fmt: skip
        return cast("Result", result)


def _loaded() -> ModuleType:
    """Return the module that runs studies: what it imports (Optuna, pandas, scikit-learn) takes seconds."""
    with warnings.catch_warnings():
        # of Optuna's tqdm, in notebooks without widgets
        warnings.filterwarnings("ignore", "IProgress not found")
        from lossreg.search import run
    return run
