"""The pages about the study file say what there is."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import sample_verdict
import typer

from lossreg.cli import app
from lossreg.config import study as studies
from lossreg.config.document import fields
from lossreg.config.optimization import SCHEDULES
from lossreg.config.schema import Data, Model, Plugins, Search, Storage, Tracking, Train, Verdict
from lossreg.storage.verdict import Answer, Cause

DOCS = Path(__file__).parents[1] / "docs"
PAGE = "\n".join(page.read_text() for page in [DOCS / "studies.md", *sorted((DOCS / "study").glob("*.md"))])
SECTIONS = {"data": Data, "model": Model, "train": Train, "search": Search, "verdict": Verdict, "tracking": Tracking,
            "plugins": Plugins, "storage": Storage}  # fmt: skip
KEYS = [(name, key) for name, section in SECTIONS.items() for key in fields(section)]


def rows():
    """Key and default of every row of a table under its section."""
    cells, section = {}, ""
    for line in PAGE.splitlines():
        if heading := re.match(r"#+ \[(\w+)", line):
            section = heading[1]
        if row := re.match(r"\| `([\w.]+)` \| (?:`(.*?)`)?[^|]*\|", line):
            name, _, key = row[1].rpartition(".")
            cells[name or section, key] = row[2]
    return cells


def test_every_key_stands_on_the_page_and_no_other():
    assert set(rows()) == set(KEYS)


LISTED = ("data", "na_values")  # a tuple here


@pytest.mark.parametrize("place", KEYS, ids=".".join)
def test_a_default_is_the_one_that_is_said(place):
    default = rows()[place]
    section, key = place
    study = studies.from_dict({"data": {"source": "sklearn:iris"}})
    if default and place not in {
        ("train", "learning_rate"),
        ("model", "hp"),
        ("plugins", "block"),
        ("data", "drop"),
        LISTED,
    }:
        plain = getattr(study, section).model_dump(mode="json")
        stored = plain.get(key, fields(SECTIONS[section])[key].default)
        assert (list(stored) if isinstance(stored, tuple) else stored) == tomllib.loads(f"x = {default}")["x"]


def test_every_key_of_a_verdict_in_json_stands_on_the_page_and_no_other():
    section = (DOCS / "study" / "verdict.md").read_text().split("## The verdict in JSON")[1]
    keys = re.findall(r"`(\w+)`", "".join(re.findall(r"^- (.*?):", section, re.MULTILINE)))
    document = sample_verdict.study("better, because of the loss").verdict.to_json()
    assert sorted(keys) == sorted(document)
    nested = set(document["winner"]) | set(document["against_same_rate"])
    assert all(f"`{key}`" in section for key in nested)


def test_the_answers_on_the_page_are_all():
    answers = re.search(r"\| answer \| means \|\n.*?\n(.*?)\n\n", PAGE, re.DOTALL)[1]
    assert [line.split("|")[1].strip() for line in answers.splitlines()] == [answer.value for answer in Answer]
    assert all(f'`"{cause.value}"`' in PAGE for cause in Cause)


def test_names_on_the_page_are_known():
    schedules = re.search(r"`schedule` \| +\| (.*?) \|", PAGE)[1].split(", ")
    assert set(schedules) == set(SCHEDULES)


def test_the_studies_on_the_page_are_studies():
    texts = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    losses, table = (studies.from_dict(tomllib.loads(text)) for text in texts)
    assert set(losses.losses) == {"focal", "gce_mild"}
    assert table.data.columns == {"plz": "category", "alter": "number", "seit": "date:dmy", "id": "drop"}
    assert table.data.na_values == ("?", 999)


def python_on_the_page(name):
    """Return the names that the block of code on the page which defines one of them defines."""
    [text] = [text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"def {name}(" in text]
    scope = {}
    exec(text, scope)
    return scope


def test_the_metric_on_the_page_counts_nine_per_hit_and_one_per_offer():
    profit = python_on_the_page("profit")["profit"]
    assert profit(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])) == (8 - 1) / 4


def test_the_metric_with_a_column_on_the_page_counts_what_customers_bring():
    revenue = python_on_the_page("revenue")["revenue"]
    assert revenue(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0]), np.array([9.0, 5.0, 3.0, 3.0])) == (9 - 2) / 4


def test_the_model_on_the_page_has_these_hyperparameters():
    import keras

    from lossreg.models.keras_tuner import Hyperparameters

    scope = python_on_the_page("build_model")
    hp = Hyperparameters({"outputs": 3, "input_shape": (4,)})
    model = scope["build_model"](hp)
    assert isinstance(model, keras.Model)
    assert set(hp.values) == {"units", "depth"}


def test_the_callbacks_on_the_page_are_new_ones_in_every_call():
    from lossreg.training.own_callbacks import Maker

    maker = Maker.of(python_on_the_page("make_callbacks")["make_callbacks"], Path())
    for _ in range(2):
        assert [callback.patience for callback in maker.new()] == [3, 2]


@pytest.mark.long
def test_the_fine_tuning_on_the_page_runs(tmp_path, monkeypatch):
    import keras

    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(120, 4))
    dense = [keras.layers.Dense(8, "relu"), keras.layers.Dense(6, "relu"), keras.layers.Dense(10, "softmax")]
    keras.Sequential([keras.Input((4,)), *dense]).save("pretrained.keras")
    [text] = [text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "pretrained.keras" in text]
    scope = {"X": x, "y": np.digitize(x[:, 0], [-0.5, 0.5])}
    exec(text, scope)
    assert len(scope["result"].trials) == 4
    assert any("1 layer stays frozen" in note for note in scope["result"].notes)


def test_what_each_command_runs_is_said():
    page = (DOCS / "security.md").read_text()
    table = page.split("## What each command runs")[1].split("From Python")[0]
    first_cells = re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)
    named = set(re.findall(r"`([a-z-]+)", " ".join(first_cells)))
    assert named == set(typer.main.get_command(app).commands)
