"""Messages of `lossreg.tune(X, y, ...)` name its arguments, and what Python can do."""

from __future__ import annotations

import ast
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fake_trainer import Fake

import lossreg
from lossreg.errors import InputError
from lossreg.search import argument_names, rows_given, run
from lossreg.search.argument_names import Arguments
from lossreg.storage.observer import Observer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")
TUNE = Arguments(rows_given.ARGUMENTS)
GAPS = np.array([None, *Y[1:]], dtype=object)
APART = {"verdict": {"enabled": False}, "tracking": {"enabled": False}}
# what only a shell has: options, and commands where nothing says that they are for one
SHELL = re.compile(r"(?<![-\w])--[a-z]|(?<!In a shell, )`lossreg [a-z]")
# a key with its value, as a study file has it
TOML = re.compile(r"\b(data|train|search|verdict|model|tracking|storage|plugins)\.[a-z_]+ = |\[(data|train|search)\]")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def own(y_true, y_pred):
    return 0.0


def tuned(y=Y, **arguments):
    arguments = {"losses": ["cross_entropy", "focal"], "trials": 3, "settings": APART, **arguments}
    return lossreg.tune(X, y, trainers=[Fake(lambda plan, epoch: 0.5)], **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"y": GAPS}, 'Give settings={"data": {"drop_unlabelled": True}} to leave these rows out'),
        (
            {"metric": own},
            'own is a function, and only you know whether more of it is better. Set direction="maximize"',
        ),
        ({"metric": "accuracy", "direction": "minimize"}, "direction: belongs to a metric of your own"),
        ({"direction": "up"}, 'direction: must be one of "maximize", "minimize"'),
        ({"metric": "acuracy"}, "Did you mean accuracy? In a shell, `lossreg metrics` lists them all."),
        ({"metric": 3}, "In a shell, `lossreg metrics` lists the names."),
        ({"epochs": 0}, "epochs: must be at least 1"),
        ({"task": "regression"}, 'Set task = "multiclass"'),
        ({"settings": {"data": {"split": 3}}}, 'settings["data"]["split"]: must be text'),
        ({"settings": {"data": {"positive": "maybe"}}}, 'settings["data"]["positive"]: no class \'maybe\''),
        ({"settings": {"search": {"trails": 3}}}, 'settings["search"]["trails"]: unknown key; settings["search"] has'),
        (
            {"settings": {"train": {"optimizer": {"momentum": 3}}}},
            'not {"momentum": 3}. Write "adam" or {"name": "sgd", "momentum": 0.9}.',
        ),
        (
            {"settings": {"tracking": {"uri": "file:///somewhere/mlruns"}}},
            'Take a database (settings={"tracking": {"uri": "sqlite:///mlflow.db"}}',
        ),
        ({"trials": 0, "epochs": 0}, "epochs: must be at least 1, not 0\ntrials: must be at least 1, not 0"),
        (
            {"losses": None, "settings": {**APART, "losses": {"focal": {"gama": 1}}}},
            'settings["losses"]["focal"]["gama"]: ',
        ),
        ({"settings": {**APART, "losses": {"focal": {}}}}, "losses: settings has losses too"),
        ({"settings": {**APART, "train": {"epochs": 0}}}, 'settings["train"]["epochs"]: must be at least 1'),
        ({"fresh": "yes"}, "fresh: must be True or False, not 'yes'"),
        ({"losses": {"focal": {"gama": 1}}}, 'losses["focal"]["gama"]: unknown parameter \'gama\''),
    ],
)
def test_a_wrong_call_is_told_in_its_own_words(arguments, words):
    with pytest.raises(InputError) as caught:
        tuned(**arguments)
    text = re.sub(r"`mlflow [^`]*`", "", str(caught.value))
    assert words in text
    assert not SHELL.search(text)
    assert not TOML.search(text)


class Told(Observer):
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


def test_notes_name_arguments_too(tmp_path):
    told = Told()
    result = tuned(progress=told)
    for lines in (told.lines, result.notes):
        text = "\n".join(lines)
        assert 'settings={"data": {"positive": "no"}} takes the other' in text
        assert "Set trials to " in text
        assert not SHELL.search(text)
        assert not TOML.search(text)
    # as a study that names no arguments, it has the keys of a file
    journal = next(tmp_path.rglob("journal.log")).read_text()
    assert "data.positive = " in journal


def test_a_study_keeps_its_keys():
    document = {"data": {"source": "sklearn:iris"}, "losses": {"focal": {}}, "search": {"trials": 0}}
    with pytest.raises(InputError, match=r"^search\.trials: must be at least 1"):
        lossreg.tune(document)


def test_a_function_is_a_metric_with_its_direction():
    result = tuned(metric=lambda y_true, y_pred: float(np.mean(y_true == y_pred)), direction="maximize")
    assert result.direction == "maximize"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data.folds = 5, which", 'settings={"data": {"folds": 5}}, which'),
        ("Set search.trials to 20.", "Set trials to 20."),
        ("search.trials = 20", "trials=20"),
        ('data.na_values = ["-", "x"].', 'settings={"data": {"na_values": ["-", "x"]}}.'),
        ("it's data.positive = \"it's\".", 'it\'s settings={"data": {"positive": "it\'s"}}.'),
        (r'data.positive = "b \"c\"" takes', """settings={"data": {"positive": 'b "c"'}} takes"""),
        ("data.image_size = [height, width] sets", 'settings["data"]["image_size"] = [height, width] sets'),
        ('build = "mlp" under [model] is', 'build = "mlp" under model is'),
        ("data.csv and model.keras and search.db", "data.csv and model.keras and search.db"),
        ("/home/data.folds and my.data.folds", "/home/data.folds and my.data.folds"),
        ('settings={"data": {"folds": 5}}', 'settings={"data": {"folds": 5}}'),
        ("{ a = 1 }{ b", '{"a": 1}{ b'),
        ("columns [3] and {x}", "columns [3] and {x}"),
    ],
)
def test_keys_become_arguments(text, words):
    assert TUNE.text(text) == words
    assert TUNE.text(words) == words


def test_names_of_the_users_columns_and_files_are_no_keys():
    own = ["data.weight", "data.test.csv", "[train]", "focal", "0.5"]
    named = Arguments(rows_given.ARGUMENTS, user_names=own)
    told = "data.weight = 3, data.test.csv, [train], train.dropout = 0.5 and data.folds = 5"
    assert named.text(told) == told.replace("data.folds = 5", 'settings={"data": {"folds": 5}}')
    assert (
        named.text("data.weights.csv, [name] and data.test.")
        == 'data.weights.csv, [name] and settings["data"]["test"].'
    )
    for where in ("data.weight", "data.test.csv", "data.test.csv: column 'x'"):
        assert str(named.error(InputError("is wrong", where=where))) == f"{where}: is wrong"


def test_notes_leave_the_names_of_columns():
    table = pd.DataFrame({"data.weight": [None, *X[1:, 0]], "b": X[:, 1]})
    told = Told()
    result = lossreg.tune(table, Y, losses=["cross_entropy", "focal"], trials=3, settings=APART, progress=told,
                          trainers=[Fake(lambda plan, epoch: 0.5)])  # fmt: skip
    for lines in (told.lines, result.notes):
        text = "\n".join(lines)
        assert "data.weight: 1 of 120 values is missing" in text
        assert 'settings={"data": {"positive": "no"}}' in text


def test_names_are_those_of_rows_and_of_values():
    tables = (pd.DataFrame({"a": [1], "b": [2]}), pa.table({"a": [1], "b": [2]}), {"a": X, "b": X})
    for rows in tables:
        assert list(argument_names.columns_of(rows)) == list(argument_names.columns_of((rows, Y))) == ["a", "b"]
    assert list(argument_names.columns_of(X)) == []
    assert list(argument_names.names_in({"a": ["b", {"c": "d"}], "e": 3})) == ["b", "d"]


def test_what_is_given_as_settings_is_python():
    text = TUNE.text('data.drop_unlabelled = true, data.folds = 5, train.dropout = 0.5, data.drop = ["a"]')
    for written in re.findall(r"settings=(\{.*?\}\})", text):
        assert isinstance(ast.literal_eval(written), dict)
    assert text.count("settings=") == 3  # of which one, train.dropout, is no key


def test_a_verdict_of_a_study_that_never_ran_names_a_function():
    with pytest.raises(InputError, match=r"Run `lossreg\.tune` first"):
        run.verdict({"name": "never", "data": {"source": "sklearn:iris"}}, progress=False)
