"""Wrong calls of `lossreg.tune` and related functions, and random mistakes in studies: always an `InputError`."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import numpy as np
import pytest
from mutations import mutated, paths, scrambled
from odd_values import Unspeakable, Vague
from wrong_studies import GOOD

import lossreg
from lossreg.config import study
from lossreg.config.candidates import candidates_of
from lossreg.errors import ForeignError, InputError, first_line, one_line
from lossreg.registry import registry
from lossreg.search.outline import plan

ROOT = Path(__file__).parents[2]
ODD = """
[data]
source = "x.csv"
target = ["a", "b"]
folds = 3
weight = "w"
drop = ["c"]
preprocess = { a = "none" }
[model]
hidden = { choices = [[4], [8]] }
dropout = { low = 0, high = 0.5 }
[train]
optimizer = { name = "sgd", momentum = { low = 0, high = 0.9 }, nesterov = true }
schedule = { name = "cosine", warmup = 0.1 }
early_stopping = { patience = 3, min_delta = 0.1 }
class_weight = { a = 1.0, b = 2.0 }
learning_rate = { low = 0.1, high = 1.0 }
[losses.mine]
function = "a.py:f"
activation = "softmax"
[plugins]
block = ["x"]
"""


def cyclic():
    table = {"data": {"source": "sklearn:iris"}}
    table["data"]["target"] = table
    return table


def deep(levels=3000):
    table = {}
    for _ in range(levels):
        table = {"a": table}
    return table


def with_data(**keys):
    return {"data": {"source": "sklearn:iris", **keys}}


def with_train(**keys):
    return {**with_data(), "train": keys}


def with_search(**keys):
    return {**with_data(), "search": keys}


def with_focal(**keys):
    return {**with_data(), "losses": {"focal": keys}}


# what is asked, and a word that the message must have
STUDIES = [
    (None, "a study is"), (3, "a study is"), (1.5, "a study is"), ([], "a study is"), (b"study.toml", "a study is"),
    ({1, 2}, "a study is"), (object, "a study is"), (len, "a study is"), (True, "a study is"),
    (("a", "b"), "a study is"),
    (Unspeakable(), "a study is"), (np.zeros(3), "a study is"), ("", "folder"), ("none.toml", "no such file"),
    (Path("none.toml"), "no such file"), ("a\0b.toml", "no such file"), ("x" * 5000, "too long"),
    ("\ud800.toml", "no such file"),
    ({}, "data"), ({"data": None}, "data"), ({"data": 3}, "data"), ({"data": {}}, "data.source"), ({3: 4}, "3"),
    ({None: 1}, "None"), ({b"data": {}}, "data"), ({"data": "sklearn:iris"}, "data"), (cyclic(), "nested"),
    (deep(), "nested"), (with_data(target=Unspeakable()), "data.target"), (with_data(target=Vague()), "data.target"),
    (with_data(target=np.zeros(3)), "data.target"), (with_data(target=b"y"), "data.target"),
    (with_data(source=b"x.csv"), "data.source"), (with_data(source="a\0b"), "NUL"),
    (with_data(source="\ud800"), "half"),
    (with_data(**{"\ud800": 1}), "half"), (with_data(test=np.float64("nan")), "data.test"),
    (with_data(test=1 + 2j), "data.test"), (with_data(drop="x"), "data.drop"),
    (with_data(drop=np.zeros(2)), "data.drop"),
    (with_data(preprocess=np.zeros(2)), "data.preprocess"), (with_data(preprocess=Vague()), "data.preprocess"),
    (with_train(epochs=10**400), "train.epochs"), (with_train(epochs=10**5000), "train.epochs"),
    (with_train(epochs=Unspeakable()), "train.epochs"),
    (with_train(optimizer=np.zeros(2)), "train.optimizer"), (with_train(optimizer=Vague()), "train.optimizer"),
    (with_train(optimizer={"name": "sgd", "momentum": np.zeros(2)}), "momentum"),
    (with_train(optimizer={"name": "sgd", "momentum": Vague()}), "momentum"),
    (with_train(optimizer={"name": "sgd", 3: 1}), "3"), (with_train(optimizer={3: "sgd"}), "train.optimizer"),
    (with_train(learning_rate=np.zeros(2)), "train.learning_rate"),
    (with_train(learning_rate=Vague()), "learning_rate"),
    (with_train(schedule=Vague()), "train.schedule"),
    (with_train(schedule={"name": "cosine", "alpha": Vague()}), "alpha"),
    (with_train(class_weight=np.ones(2)), "train.class_weight"), (with_train(class_weight=Vague()), "class_weight"),
    (with_train(early_stopping=Vague()), "early_stopping"), (with_train(batch_size=Vague()), "train.batch_size"),
    (with_search(lanes=Vague()), "search.lanes"), (with_search(lanes=np.zeros(2)), "search.lanes"),
    (with_search(minutes=Unspeakable()), "search.minutes"), (with_search(metric=len), "search.metric"),
    (with_focal(gamma=Vague()), "losses.focal.gamma"), (with_focal(gamma=Unspeakable()), "losses.focal.gamma"),
    (with_focal(gamma={"choices": [Vague(), Vague()]}), "losses.focal.gamma"), (with_focal(gamma=b"1"), "focal.gamma"),
    (with_focal(gamma={"choices": np.zeros(2)}), "losses.focal.gamma"), (with_focal(gamma={1, 2}), "focal.gamma"),
    ({**with_data(), "losses": ["focal"]}, "losses"), ({**with_data(), "losses": {3: {}}}, "losses"),
    ({**with_data(), "model": {"hp": Vague()}}, "model.hp"), ({**with_data(), "model": {"build": 3.5}}, "model.build"),
    ({**with_data(), "name": Unspeakable()}, "name"), ({**with_data(), "tracking": Vague()}, "tracking"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(STUDIES)))
@pytest.mark.parametrize("call", [lossreg.tune, lossreg.load_trial, plan, lossreg.results])
def test_a_wrong_study_is_an_input_error(call, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong, message = STUDIES[number]
    with pytest.raises(InputError) as caught:
        call(wrong)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert list(tmp_path.iterdir()) == []


OVERRIDES = [
    "search.trials=3", b"search.trials=3", None, 3, {"search.trials": 3}, [3], [None], [b"a=1"], [("a", 1)], ["a"],
    [""],
    [Unspeakable()], ["search.trials=x"], ["\0=1"], ["search.trials=\ud800"],
]  # fmt: skip


@pytest.mark.parametrize("overrides", OVERRIDES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("call", [lossreg.tune, plan])
def test_wrong_overrides_are_an_input_error(call, overrides, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        call(with_data(), overrides)
    assert "overrides" in str(caught.value)
    assert "--set" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


ARGUMENTS = [
    *((lossreg.tune, {name: wrong}, name) for name in ("fresh", "require_tracking") for wrong in ("no", 1, None, [])),
    *((lossreg.tune, {"progress": wrong}, "progress") for wrong in (3, "bar", print, Unspeakable())),
    *((lossreg.tune, {"trainers": wrong}, "trainers") for wrong in (3, "fit", [3], {"a": 1}, [None])),
    *((lossreg.load_trial, {"number": wrong}, "number") for wrong in ("3", 1.5, True, [1], b"1", Unspeakable())),
    *((lossreg.load_trial, {"loss": wrong}, "loss") for wrong in (3, b"focal", ["focal"], len, Unspeakable())),
    (lossreg.load_trial, {"number": 1, "loss": "focal"}, "has not been run"),
    *((call, {"data": 3}, "the rows are given as data= too") for call in (lossreg.tune, lossreg.load_trial, plan)),
]


@pytest.mark.parametrize(("call", "arguments", "message"), ARGUMENTS, ids=lambda value: str(type(value).__name__))
def test_a_wrong_argument_is_an_input_error(call, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        call(with_data(), **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [3, "rows.csv", [], [1, 2], iter(()), np.float64(1), len, Unspeakable(), {}, (1,)])
def test_rows_that_are_no_data_are_an_input_error(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (lossreg.tune, plan):
        with pytest.raises(InputError, match=r"^data: .*(is no data|no arrays x and y|x is no array)"):
            call({}, data=rows)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------ random mistakes


def read(document):
    """All that is done to a document before data and Keras."""
    spec = document if isinstance(document, study.StudySpec) else study.from_dict(document)
    json.dumps([spec.document(), study.fingerprint(spec)])
    for task, classes in (("binary", 2), ("multiclass", 3), ("regression", 0)):
        sound(candidates_of, spec, registry.default(), task, classes)


def sound(call, *args):
    """Return whether a call went well; any exception but `InputError` fails the test."""
    try:
        call(*args)
    except InputError as error:
        return not str(error)
    return True


def studies():
    return [GOOD, ODD, *(path.read_text() for path in sorted((ROOT / "studies").glob("*.toml")))]


def test_documents_with_random_mistakes_are_studies_or_input_errors():
    documents = [tomllib.loads(text) for text in studies()]
    known = sorted({path[-1] for document in documents for path in paths(document) if path})
    rng = random.Random(9)
    whole = sum(sound(read, mutated(rng.choice(documents), rng, known)) for _ in range(1200))
    assert 80 < whole < 500


def test_files_with_random_mistakes_are_studies_or_input_errors(tmp_path):
    rng, path, texts = random.Random(9), tmp_path / "study.toml", studies()

    def load(text):
        path.write_text(text)
        read(study.load(path))

    whole = sum(sound(load, scrambled(rng.choice(texts), rng)) for _ in range(1200))
    assert 80 < whole < 700


# ------------------------------------------------------------------------ errors as text


class MuteError(Exception):
    def __str__(self):
        raise SystemExit(3)


# as Keras and TensorFlow write them
IN_A_LAYER = ValueError(
    "Exception encountered when calling Dense.call().\n\n\x1b[1mShapes (3,) and (4,) differ\x1b[0m\n\n"
    "Arguments received by Dense.call():\n  \u2022 inputs=tf.Tensor(shape=(3,), dtype=float32)"
)
IN_A_GRAPH = ValueError(
    "Graph execution error:\n\nDetected at node embedding defined at (most recent call last):\n"
    "<stack traces unavailable>\nindices[0] = 7 is not in [0, 5)\n\t [[{{node embedding}}]] [Op:__inference_call_2]"
)


class NumbError(Exception):
    def __str__(self):
        return 3  # noqa: PLE0307


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MuteError(), "MuteError: its message cannot be read"),
        (NumbError(), "NumbError: its message cannot be read"),
        (ValueError("\ud800 half"), r"ValueError: \ud800 half"),
        (ValueError(), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (SystemExit(2), "SystemExit: 2"),
        (ForeignError("SystemExit: 2"), "SystemExit: 2"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError("x" * 400), f"ValueError: {'x' * 297}..."),
        (IN_A_LAYER, "ValueError: Exception encountered when calling Dense.call(). Shapes (3,) and (4,) differ"),
        (IN_A_GRAPH, "ValueError: indices[0] = 7 is not in [0, 5)"),
    ],
)
def test_an_exception_is_one_line_whatever_its_class_does(error, text):
    assert one_line(error) == text


def test_failures_of_one_cause_share_their_first_line_whatever_numbers_follow():
    texts = {first_line(ValueError(f"Problem:\n\nnot equal\nlargest difference: {n}")) for n in range(3)}
    assert texts == {"ValueError: not equal"}
    assert first_line(IN_A_LAYER) == "ValueError: Shapes (3,) and (4,) differ"
    assert first_line(IN_A_GRAPH) == "ValueError: indices[0] = 7 is not in [0, 5)"
    assert first_line(ValueError("because:")) == "ValueError: because:"
    assert first_line(MuteError()) == "MuteError: its message cannot be read"
