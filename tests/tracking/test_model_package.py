"""The note beside a saved model, with which it is tracked without being loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossreg.tracking import model_package

ABOUT = {
    "inputs": [["left", "float32", [-1, 4]], ["right", "int32", [-1, 2, 3]]],
    "outputs": [[None, "float32", [-1, 3]]],
    "version": "3.15.1",
    "backend": "tensorflow",
    "requirements": ["keras==3.15.1", "tensorflow==2.21.0", "lossreg==0.3.0"],
}


@pytest.fixture
def model(tmp_path):
    """A file that is noted to be a model."""
    path = tmp_path / "best.keras"
    path.write_bytes(b"a model")
    model_package.note({"path": str(path), **ABOUT})
    return path


def test_a_model_that_is_noted_is_described_without_being_loaded(model):
    about, folder = model_package.of(model)
    assert folder is None
    # tuples and lists alike are lists in a message to the process that tracks
    assert json.loads(json.dumps(about)) == {"path": str(model), **ABOUT}


def test_a_model_without_a_note_of_this_very_file_is_described_by_its_path_alone(model):
    alone = {"path": str(model)}
    model.write_bytes(b"another model")
    assert model_package.of(str(model)) == (alone, None)
    model.with_suffix(".json").unlink()
    assert model_package.of(str(model)) == (alone, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requirements", ["evil==1.0"]), ("requirements", ["keras==1.0 --pre evil"]),
        ("requirements", ["keras @ http://evil.example"]), ("version", "3\nloader_module: evil"), ("path", "/etc/x"),
        ("inputs", [[None, "O; import os", [-1]]]), ("outputs", "x"), ("digest", "0" * 64),
    ],
)  # fmt: skip
def test_a_note_that_lossreg_has_not_written_counts_for_nothing(model, name, value):
    note = model.with_suffix(".json")
    note.write_text(json.dumps({**json.loads(note.read_text()), name: value}))
    assert model_package.of(model) == ({"path": str(model)}, None)


@pytest.mark.parametrize("content", [b"", b"[", b"\xff", b"null"])
def test_a_damaged_note_counts_for_nothing(model, content):
    Path(model).with_suffix(".json").write_bytes(content)
    assert model_package.of(model) == ({"path": str(model)}, None)
