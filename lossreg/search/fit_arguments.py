"""The arguments of Keras's `fit` as a study takes them: rows with their validation rows, and `[train]`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from lossreg.data import foreign
from lossreg.data.origin import Origin
from lossreg.errors import InputError, did_you_mean, represented

# arguments that change nothing of a study at these values
USUAL: dict[str, tuple[Any, ...]] = {
    "shuffle": (True,),
    "initial_epoch": (0,),
    "steps_per_epoch": (None,),
    "validation_steps": (None,),
    "validation_batch_size": (),  # at any value
    "validation_freq": (1,),
}
INSTEAD = {
    "ReduceLROnPlateau": 'settings={"train": {"schedule": "cosine"}} lowers the learning rate.',
    "LearningRateScheduler": 'settings={"train": {"schedule": "cosine"}} lowers the learning rate.',
    "TensorBoard": 'settings={"tracking": {"enabled": True}} writes every trial to MLflow.',
    "CSVLogger": "tuner.result.trials_frame() has every trial.",
    "ModelCheckpoint": "Leave it out: the best epoch of every trial is kept.",
}
OTHER = 'settings={"train": {"callbacks": make_callbacks}} calls your own through model.fit, one trial at a time.'
FORMS = "Give arrays, a dictionary of inputs by name, or a finite tf.data.Dataset."


def check(others: Mapping[str, Any]) -> None:
    """Raise `InputError` for arguments of `fit` that a study has no place for."""
    for name, value in others.items():
        if name not in USUAL:
            raise InputError("is no argument of fit", where=name, hint=did_you_mean(name, USUAL))
        if USUAL[name] and value not in USUAL[name]:
            what = f"a study trains with {name}={USUAL[name][0]} alone, not {represented(value)}"
            raise InputError(what, where=name, hint="Leave it out.")


def rows(x: Any, y: Any, weights: Any, validation: Any, share: Any) -> Any:
    """Return rows as a study takes them: `(x, y)`, with validation rows `{"train": (x, y), "validation": (x, y)}`.

    share: of the last rows, which are validation rows, as for Keras. Raises `InputError`.
    """
    train = _arrays("x", x, y, weights)
    if validation is not None:
        if not (foreign.is_dataset(validation) or (isinstance(validation, tuple) and len(validation) in (2, 3))):
            what = f"must be (x, y), (x, y, weights) or a tf.data.Dataset, not {represented(validation)}"
            raise InputError(what, where="validation_data")
        given = (validation,) if foreign.is_dataset(validation) else validation
        return {"train": train, "validation": _arrays("validation_data", *given)}
    if not share:
        return train
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise InputError(f"must be a share between 0 and 1, not {represented(share)}", where="validation_split")
    if foreign.is_dataset(x):
        raise InputError("takes arrays, and x is a tf.data.Dataset", where="validation_split", hint="Split it first.")
    first = math.floor(len(np.asarray(train[1])) * (1 - share))
    if first == 0:
        raise InputError(f"of {share} leaves no training rows", where="validation_split", hint="Give a smaller share.")
    return {"train": _part(train, slice(first)), "validation": _part(train, slice(first, None))}


def labels(given: Any) -> Any:
    """Return the labels of the training rows."""
    return (given["train"] if isinstance(given, dict) else given)[1]


def train(
    epochs: Any, batch_size: Any, callbacks: Sequence[Any] | None, class_weight: Any, objective: keras_tuner.Objective
) -> dict[str, Any]:
    """Return `[train]` of the study; objective: what early stopping has to monitor. Raises `InputError`."""
    section: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    if batch_size is not None:
        section["batch_size"] = batch_size
    if class_weight is not None:
        is_table = isinstance(class_weight, Mapping)
        section["class_weight"] = {str(k): w for k, w in class_weight.items()} if is_table else class_weight
    for callback in keras.tree.flatten(callbacks or ()):
        stopping = _early_stopping(callback, objective)
        if section.setdefault("early_stopping", stopping) is not stopping:
            raise InputError("a study has no place for a second EarlyStopping", where="callbacks", hint="Give one.")
    return section


def _early_stopping(callback: Any, objective: keras_tuner.Objective) -> dict[str, Any]:
    kind = type(callback)
    if kind is not keras.callbacks.EarlyStopping:
        hint = INSTEAD.get(kind.__name__, OTHER)
        raise InputError(f"a study has no place for {kind.__name__}", where="callbacks", hint=hint)
    if callback.monitor != objective.name or callback.mode not in ("auto", objective.direction):
        shown = f"{callback.monitor!r}{'' if callback.mode == 'auto' else f', mode={callback.mode!r}'}"
        what = f"EarlyStopping monitors {shown}, and a study the objective, {objective.name!r}, {objective.direction}"
        raise InputError(what, where="callbacks", hint=f"Write EarlyStopping({objective.name!r}, patience=...).")
    if callback.baseline is not None or callback.start_from_epoch or not callback.patience:
        what = "a study has no place for EarlyStopping with a baseline, with start_from_epoch or without patience"
        raise InputError(what, where="callbacks", hint="Leave these out, and give patience=5 or so.")
    return {"patience": callback.patience, "min_delta": float(abs(callback.min_delta))}


def _arrays(where: str, x: Any, y: Any = None, weights: Any = None) -> tuple[Any, ...]:
    if foreign.is_dataset(x):
        if twice := "y" if y is not None else "sample_weight" if weights is not None else "":
            raise InputError(f"a tf.data.Dataset has labels and weights, and {twice} is given too", where=where)
        if arrays := foreign.arrays(x, Origin(where, where)):
            return arrays
        raise InputError("no rows", where=where)
    if isinstance(x, (keras.utils.PyDataset, keras.Model)) or hasattr(x, "__next__"):
        raise InputError(f"rows cannot be read from {represented(x)}", where=where, hint=FORMS)
    if isinstance(x, (list, tuple)) and x and all(hasattr(part, "shape") and part.ndim > 1 for part in x):
        what = "several inputs are given in a list, and a study needs their names"
        raise InputError(what, where=where, hint='Write {"a": A, "b": B}, and keras.Input(..., name="a").')
    if y is None:
        raise InputError("the labels are missing", where="y" if where == "x" else where)
    return (x, y) if weights is None else (x, y, weights)


def _part(given: tuple[Any, ...], kept: slice) -> tuple[Any, ...]:
    return tuple(keras.tree.map_structure(lambda part: part[kept], _plain(part)) for part in given)


def _plain(part: Any) -> Any:
    """Return a list of numbers as an array, which can be cut; anything else as it is."""
    if isinstance(part, Mapping):
        return {name: np.asarray(value) for name, value in part.items()}
    return part.iloc[:] if hasattr(part, "iloc") else np.asarray(part)
