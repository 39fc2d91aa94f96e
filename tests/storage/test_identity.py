"""A study's folder that is moved stays the same study; a copy of it becomes another one."""

from __future__ import annotations

import shutil
import socket

import optuna
import pytest

from lossreg.storage import identity


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "begun" / "toy"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def study():
    study = optuna.create_study()
    study.set_user_attr("lossreg", {"id": "first", "tracking": {"run_id": "abc"}, "metric": "accuracy"})
    return study


def settled(study, folder):
    """The notes, the id and the run that the study has in that folder."""
    notes = identity.note_place(study, folder)
    attributes = study.user_attrs["lossreg"]
    assert attributes["metric"] == "accuracy"
    return notes, attributes["id"], attributes["tracking"].get("run_id")


def test_a_study_of_an_older_version_is_noted_and_stays_the_same(study, folder):
    assert settled(study, folder) == ([], "first", "abc")
    assert settled(study, folder) == ([], "first", "abc")


def test_a_moved_folder_is_the_same_study(study, folder):
    settled(study, folder)
    moved = folder.rename(folder.with_name("elsewhere"))
    assert settled(study, moved) == ([], "first", "abc")
    another = folder
    another.mkdir()
    assert settled(study, moved) == ([], "first", "abc"), "what lies now where it was is no original"


def test_a_copy_becomes_another_study_once(study, folder):
    settled(study, folder)
    copy = shutil.copytree(folder.parent, folder.parents[1] / "copy") / "toy"
    notes, new, run = settled(study, copy)
    assert f"copied from {folder}" in notes[0]
    assert new != "first"
    assert run is None
    assert settled(study, copy) == ([], new, None)


def test_a_link_is_no_copy(study, folder):
    settled(study, folder)
    link = folder.parents[1] / "link"
    link.symlink_to(folder.parent)
    assert settled(study, link / "toy") == ([], "first", "abc")


@pytest.mark.parametrize("is_same_disk", [True, False], ids=["a container on the same disk", "another machine"])
def test_a_study_that_came_from_another_machine_is_told(study, folder, monkeypatch, is_same_disk):
    settled(study, folder)
    there = folder.rename(folder.with_name("there"))
    if not is_same_disk:
        there = shutil.copytree(there, folder.with_name("here"))
        shutil.rmtree(folder.with_name("there"))
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    notes, kept, run = settled(study, there)
    assert (kept, run) == ("first", "abc")
    assert bool(notes) is not is_same_disk
    assert all("if it goes on there too" in note for note in notes)
    assert settled(study, there)[0] == []
