"""Private names of Optuna are used in one module alone."""

from __future__ import annotations

import ast
from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage

import lossreg
from lossreg.storage import internals


def private_names():
    """The private names of Optuna's objects that lossreg has to do with."""
    study = optuna.create_study()
    trial = study.ask({"x": FloatDistribution(0.0, 1.0)})
    study.tell(trial, 0.0)
    objects = (study, trial, *study.trials, FloatDistribution(0.0, 1.0), study.sampler, study.pruner, BaseStorage)
    return {name for one in objects for name in dir(one) if name.startswith("_") and not name.startswith("__")}


def uses(tree, names):
    """True if a module uses these names of anything but the object itself, or imports Optuna's private modules."""
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return any(module.startswith("optuna") and "._" in module for module in modules) or any(
        node.attr in names and not is_itself(node.value) for node in attributes
    )


def is_itself(node):
    """Of `self`, and of `super()`."""
    return (isinstance(node, ast.Name) and node.id in {"self", "cls"}) or isinstance(node, ast.Call)


def test_private_names_of_optuna_are_used_in_one_module():
    names, root = private_names(), Path(lossreg.__file__).parent
    assert {"_storage", "_trial_id", "_contains", "_get_trials"} <= names
    using = {file for file in root.rglob("*.py") if uses(ast.parse(file.read_text()), names)}
    assert using == {Path(internals.__file__)}
