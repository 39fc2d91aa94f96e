"""The facts beside a recipe: the model, labels and weights that it is for, and all else that its trial used."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from lossreg.contract.data_options import EXPOSURE
from lossreg.contract.recipes import WIDTH, literal, wrapped
from lossreg.errors import count_of
from lossreg.reporting.values import listed, number, short
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.storage.verdict import Arm
from lossreg.terminal.plain_text import code, printable_line

RAW = (
    "A recipe is for a model that ends in raw scores, without an activation, as the models of the trials do; drop "
    "`from_logits=True` for one that ends in probabilities or in the target's own units."
)
ROWS = "The constants in a recipe are those of the training rows (with folds, of the first fold)."
OWN = re.compile(r"lossreg\.get\(lossreg\.wrap\((\w+)")
PROGRESS = "`progress` rises from 0 to 1 during a trial; in a compiled loss it is fixed."
NOT_KEPT = "Constants shown as `...` were not kept by the version of lossreg that ran the study: fill them in."
DECISIONS = {
    "threshold": "`threshold`: class 1 where the log odds (the raw score before a sigmoid) exceed it.",
    "shift": "`shift`: added to the raw scores, or log probabilities, before the largest is taken.",
    "temperature": "`temperature`: divides the raw scores, or log probabilities, before softmax or sigmoid.",
}
FITTED = "It was fitted on the validation rows; the model that is kept has it in it."


def notes(trial: TrialRecord) -> list[str]:
    """Return the notes to a recipe: the model that it is for, and the rows that its numbers come from."""
    sentences = [RAW, ROWS] if trial.constants else [RAW]
    if function := OWN.match(trial.recipe):
        sentences.append(f"`{function[1]}` is the study's own function: import it beside lossreg.")
    weights = dict(trial.weights)
    if column := weights.pop(EXPOSURE, ""):
        sentences.append(_exposed(column))
    if weights:
        sentences.append(_weighted(weights))
    sentences += [f"{DECISIONS[what]} {FITTED}" for what in trial.decision if what in DECISIONS]
    if "progress" in trial.constants:
        sentences.append(PROGRESS)
    if any(value is None for value in trial.constants.values()):
        sentences.append(NOT_KEPT)
    return sentences


def decision(trial: TrialRecord) -> str:
    """Return the tuned decision of a trial in full, `threshold 0.3125`; empty where none is tuned."""
    return ", ".join(f"{name} {literal(value)}" for name, value in trial.decision.items())


def labels(result: StudyResult, most: int = 12) -> str:
    """Return a sentence on the labels that a recipe expects: `Labels are class indices: no = 0, yes = 1.`"""
    names = list(result.data.get("classes") or ())
    if result.task == "segmentation":
        return "Labels are masks of 0 and 1."
    if result.task == "multilabel":
        return f"Labels are one column of 0 and 1 per label: {listed(names, most)}."
    if result.task not in ("binary", "multiclass"):
        return "Train on the target in its own units."
    if names == [str(i) for i in range(len(names))]:
        return f"Labels are class indices, 0 to {len(names) - 1}."
    return f"Labels are class indices: {listed([f'{name} = {i}' for i, name in enumerate(names)], most)}."


def _weighted(weights: Mapping[str, Any]) -> str:
    """Return a sentence on the weights that `model.fit` needs for the same training."""
    column = f"the column `{weights['rows']}`" if weights.get("rows") else "the weights of your rows"
    if "classes" not in weights:
        return f"Training rows were weighted: give `model.fit` {column} as `sample_weight`."
    numbers = weights["classes"]
    if "rows" in weights:
        product = f"`sample_weight=w * numpy.array({literal(numbers)})[y]`"
        return f"Training rows and classes were weighted: give `model.fit` {product}, where w is {column}."
    mapping = ", ".join(f"{index}: {literal(number)}" for index, number in enumerate(numbers))
    return f"Classes were weighted: give `model.fit` `class_weight={{{mapping}}}`."


def _exposed(column: str) -> str:
    """Return a sentence on the offset that a model needs for the same training."""
    name = printable_line(column)
    return f"The raw score has an offset: the model adds the logarithm of `{name}` to it, which is an input of its own."


def besides(trial: TrialRecord, vector: Callable[[Any], str] = short) -> list[str]:
    """Return a trial's parameters without those of its loss: `learning rate 0.0021`, `optimizer.momentum 0.9`."""
    shown = {**training(trial), **trial.decision}
    return [f"{name} {vector(v) if isinstance(v, (list, tuple)) else number(v)}" for name, v in shown.items()]


def to_set(result: StudyResult, trial: TrialRecord) -> str:
    """Return what a training with the recipe of a trial needs: `learning rate 0.0021, adam, batch size 32, 30 epochs`.

    The optimizer of a model of the user's, which may bring its own, is left out.
    """
    train, is_own = result.spec.get("train", {}), ":" in str(result.spec.get("model", {}).get("build", ""))
    optimizer = train.get("optimizer", "")
    settings = optimizer if isinstance(optimizer, Mapping) else {"name": optimizer}
    fixed = {name: value for name, value in settings.items() if not isinstance(value, Mapping)}
    name = str(fixed.pop("name", ""))
    of_optimizer = [] if is_own or not name else [name, *(f"{key} {number(value)}" for key, value in fixed.items())]
    size, schedule = train.get("batch_size"), train.get("schedule")
    of_batches = [f"batch size {size}"] if isinstance(size, int) else []
    of_schedule = [f"schedule {schedule if isinstance(schedule, str) else dict(schedule)['name']}"] if schedule else []
    epochs = [count_of(trial.epoch, "epoch")] if trial.epoch else []
    return ", ".join([*besides(trial), *of_optimizer, *of_schedule, *of_batches, *epochs])


def training(one: TrialRecord | Arm) -> dict[str, Any]:
    """Return learning rate, optimizer settings and hyperparameters of a trial, by name."""
    others = {
        name: value for name, value in one.params.items()
        if name not in ("learning_rate", "loss") and not name.startswith(f"{one.candidate}.")
    }  # fmt: skip
    return {"learning rate": one.learning_rate, **others}


def code_block(trial: TrialRecord, width: int = WIDTH) -> str:
    """Return a recipe as a code span, or as a block of several lines where it is longer than `width`."""
    recipe = printable_line(trial.recipe)
    return code(recipe) if len(recipe) <= width else f"```python\n{wrapped(recipe, width)}\n```"


def commented(trial: TrialRecord, width: int = WIDTH) -> str:
    """Return a recipe with a comment on its training: behind it, or above it where the line would be long."""
    recipe, comment = printable_line(trial.recipe), printable_line(", ".join([trial.candidate, *besides(trial)]))
    line = f"{recipe}  # {comment}"
    if len(line) <= width:
        return line
    above = textwrap.fill(comment, width, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    return f"{above}\n{wrapped(recipe, width)}"
