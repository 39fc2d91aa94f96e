"""A loss suggested inside somebody else's search: its choice and its parameters, under the names that studies have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lossreg.config import candidates as losses_of
from lossreg.config import study as studies
from lossreg.config.search_space import Fixed
from lossreg.contract.targets import Constants
from lossreg.data import labels
from lossreg.data.raw import Raw
from lossreg.errors import InputError, represented
from lossreg.registry import registry
from lossreg.search.proposer import Proposer

if TYPE_CHECKING:
    from lossreg.config.candidates import Candidate
    from lossreg.data.classes import Labels
    from lossreg.registry.keras_loss import RegistryLoss

Losses = Sequence[str] | Mapping[str, Mapping[str, Any]]
WHERE = "y"


def suggest(trial: Any, losses: Losses, y: Any, task: str, *, from_logits: bool) -> RegistryLoss:
    """Return a loss of these, chosen by what `trial.suggest_categorical`, `suggest_float` and `suggest_int` answer.

    losses: names, or a table for each as under [losses] of a study; y: the labels of the training rows, as the loss
    will see them: class indices `(n,)`, one-hot rows or several labels `(n, k)`, or numbers; task: as in `[data]`.
    Raises `InputError`.
    """
    check_searcher("trial", trial, "suggest_categorical", "trial of Optuna")
    proposer = proposer_of(losses, y, task)
    check_free("loss", getattr(trial, "distributions", {}).get("loss"), proposer.names)
    return suggested(proposer, trial, from_logits=from_logits)


def check_searcher(where: str, given: Any, method: str, kind: str) -> None:
    """Raise `InputError` for what cannot suggest values; method: one that a search of this kind has."""
    if not hasattr(given, method):
        raise InputError(f"must be a {kind}, not {represented(given)}", where=where)


def check_free(name: str, known: Any, choices: Sequence[Any]) -> None:
    """Raise `InputError` where a search has another parameter of this name; known: that parameter, None without."""
    if known is not None and list(getattr(known, "choices", getattr(known, "values", ()))) != list(choices):
        what = f"this search has a {name!r} of its own, with other values than {', '.join(map(str, choices))}"
        raise InputError(what, where=name, hint="Give it another name: lossreg calls the choice of the loss so.")


def options(choices: Sequence[Any]) -> list[Any]:
    """Return choices as KerasTuner takes them: those of one plain type, others as texts."""
    is_plain = len(set(map(type, choices))) == 1 and isinstance(choices[0], (str, int, float))
    return list(choices) if is_plain else list(map(str, choices))


def spacing(*, log: bool, step: float | None) -> dict[str, Any]:
    """Return how KerasTuner draws a number from its range: evenly in its logarithm, or in steps."""
    return {"sampling": "log", "step": None} if log else {"sampling": "linear", "step": step}


def suggested(proposer: Proposer, trial: Any, *, from_logits: bool) -> RegistryLoss:
    """Return the loss that a trial chooses among those of a proposer."""
    from lossreg.registry import keras_loss

    plan = proposer.suggest(trial)
    arguments = {**plan.params, **proposer.row_constants(plan.candidate)}
    return keras_loss.get(proposer.candidates[plan.candidate].spec, from_logits=from_logits, **arguments)


def proposer_of(losses: Losses, y: Any, task: str) -> Proposer:
    """Return what proposes a loss for these labels; raises `InputError`."""
    read = labels_of(y, task)
    chosen = _candidates(losses, read)
    constants = Constants.from_labels(read.y, len(read.classes), multihot=read.task == "multilabel")
    slugs = tuple(map(str, range(len(read.classes))))
    return Proposer(chosen, Fixed(0.0), constants, slugs, epochs=1, seed=0)


def labels_of(y: Any, task: str) -> Labels:
    """Return labels with their task; classes are 0, 1, ..., as the loss will see them. Raises `InputError`."""
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if not array.ndim or not len(array):
        raise InputError(f"must be the labels of the training rows, not {represented(y)}", where=WHERE)
    if pd.api.types.infer_dtype(array.ravel()) == "boolean":
        array = array.astype(int)
    column = pd.Series(array) if array.ndim == 1 else array
    read = labels.read(Raw(WHERE, np.zeros((len(array), 1)), column), task, WHERE, fewest=1)
    indices = [str(k) for k in range(len(read.classes))]
    if array.ndim == 1 and read.classes and set(read.classes) != set(indices):
        what = f"classes must be 0 to {len(indices) - 1}, and there are {', '.join(read.classes[:5])}"
        raise InputError(what, where=WHERE, hint="sklearn.preprocessing.LabelEncoder makes such labels.")
    return read


def _candidates(losses: Losses, read: Labels) -> dict[str, Candidate]:
    """Return the candidates by name, all of which take a model with the same outputs."""
    if isinstance(losses, str) or not isinstance(losses, (Mapping, Sequence)) or not losses:
        what = f"must be names of losses, or a table for each, not {represented(losses)}"
        raise InputError(what, where="losses", hint='Such as ["cross_entropy", "focal"].')
    tables = dict(losses) if isinstance(losses, Mapping) else {name: {} for name in losses}
    spec = studies.of({"name": "suggested", "data": {"source": WHERE}, "losses": tables})
    every = losses_of.candidates_of(spec, registry.default(), read.task, len(read.classes))
    chosen = {candidate.name: candidate for candidate in every if candidate.name in tables}
    widths = {name: candidate.spec.width(len(read.classes)) for name, candidate in chosen.items()}
    if len(set(widths.values())) > 1:
        each = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise InputError(f"these losses need models of different outputs: {each}", where="losses")
    return chosen
