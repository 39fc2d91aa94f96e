"""A disk that is full, a folder that cannot be made or written: said with the folder before anything heavy happens."""

from __future__ import annotations

import errno
import os
import resource
import signal
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lossreg
from lossreg import cli
from lossreg.config import study
from lossreg.errors import InputError
from lossreg.storage import study_folder
from lossreg.storage.study_folder import StudyFolder

STUDY = '[data]\nsource = "sklearn:iris"\n[tracking]\nenabled = false\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(STUDY)
    monkeypatch.setattr(cli.studies, "import_keras", lambda: pytest.fail("Keras takes seconds"))
    return tmp_path


@pytest.fixture
def full():
    """Files may not grow beyond some bytes, as on a full disk."""
    before, heard = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, heard)


def refused(*parts):
    before = sorted(Path().rglob("*"))
    done = CliRunner().invoke(cli.app, ["tune", "s.toml"])
    assert done.exit_code == 2, done.output
    message = done.stderr.removeprefix("study s: starting\n")
    assert message.startswith("Error: ")
    assert "(unexpected" not in message
    assert message.count("\n") == 1
    with pytest.raises(InputError) as caught:
        lossreg.tune("s.toml")
    for words in parts:
        assert words in done.stderr
        assert words in str(caught.value)
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("place", [".lossreg", ".lossreg/s"])
def test_a_file_in_the_place_of_the_folder_is_named(place):
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text("mine\n")
    refused(place, "is a file, and the study's folder belongs there")
    assert Path(place).read_text() == "mine\n"


def test_a_disk_without_room_is_named_with_the_folder(full):
    full(study_folder.ROOM // 2)
    refused("the study's folder .lossreg/s cannot be written", "file too large")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left on device"),
        (errno.EDQUOT, "disk quota exceeded"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only file system"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "mkdir"])
def test_what_the_system_refuses_is_said_in_its_words(monkeypatch, number, message, call):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "mkdir")), refuse)
    refused("the study's folder .lossreg/s cannot be written", message)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="a folder in which not even root may write")
def test_a_folder_in_which_nobody_may_write_is_named():
    spec = study.from_dict({"data": {"source": "sklearn:iris"}}, base=Path("/sys/kernel"))
    with pytest.raises(InputError, match=r"the study's folder /sys/kernel/.lossreg/study\S* cannot be written: "):
        lossreg.tune(spec)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_study_file_that_the_system_does_not_read_is_named(monkeypatch, number):
    def refuse(self):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    refused("s.toml: ", os.strerror(number)[1:])


def test_a_run_is_announced_in_a_file_that_is_no_other_study_s_folder(tmp_path):
    for name in ("x", "x.running"):
        study.from_dict({"name": name, "data": {"source": "sklearn:iris"}})
    folder, other = (StudyFolder(tmp_path / "runs" / name, name) for name in ("x", "x.running"))
    other.path.mkdir(parents=True)
    with folder.announced():
        assert folder.activity is not None
        assert other.activity is None
        [file] = set(folder.path.parent.iterdir()) - {other.path}
        with pytest.raises(InputError, match="names a folder"):
            study.from_dict({"name": file.name, "data": {"source": "sklearn:iris"}})
    assert list(folder.path.parent.iterdir()) == [other.path]


def test_a_link_that_leads_nowhere_is_named():
    Path(".lossreg").symlink_to("gone/away")
    refused("the study's folder .lossreg/s cannot be written")


def test_weights_without_room_leave_nothing_half_written(full):
    kept = StudyFolder(Path(".lossreg/s"), "s")
    with kept.lock():
        kept.weights.save(1, [np.ones(4)])
        full(2000)
        with pytest.raises(OSError, match=r"weights.part"):
            kept.weights.save(2, [np.ones(4000)])
    assert sorted(path.name for path in kept.path.iterdir()) == ["lock", "weights-000001.npz"]


def test_predictions_without_room_leave_those_that_there_are(full):
    kept, few, many = StudyFolder(Path(".lossreg/s"), "s"), np.arange(4.0), np.random.default_rng(0).normal(size=4000)
    with kept.lock():
        kept.predictions.save("1-0-1", {"winner": few})
        full(2000)
        with pytest.raises(OSError, match=r"verdict.part"):
            kept.predictions.save("1-0-1", {"winner": many})
    np.testing.assert_array_equal(kept.predictions.load("1-0-1")["winner"], few)
    assert sorted(path.name for path in kept.path.iterdir()) == ["lock", "verdict.npz"]


def test_the_folder_of_a_study_that_may_be_written_is_as_it_was():
    kept = StudyFolder(Path("deep/down/.lossreg/s"), "s")
    kept.require_writable()
    assert not Path("deep").exists()
    with kept.lock():
        kept.require_writable()
        assert [path.name for path in kept.path.iterdir()] == ["lock"]


def test_workers_that_begin_at_once_do_not_take_away_each_other_s_folder():
    kept = StudyFolder(Path("deep/.lossreg/s"), "s")
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(kept.require_writable) for _ in range(60)]:
            future.result()


class Model:
    """Stands in for a Keras model."""

    def save(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")


def test_a_model_of_0_2_0_is_whole_with_its_pickle_which_a_new_one_replaces(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    folder.best.save(Model(), 3)
    assert not folder.best.is_loadable(3)
    pickled = tmp_path / "preprocessor.joblib"
    pickled.write_bytes(b"a pickle")
    assert folder.best.is_loadable(3)
    folder.best.save_preprocessor("{}")
    assert folder.best.is_loadable(3)
    assert not pickled.exists()
    assert sorted(file.name for file in tmp_path.glob("[bp]*")) == ["best.keras", "best.trial", "preprocessor.json"]


def test_a_predictor_is_whole_when_its_description_is_of_the_same_trial(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    folder.best.save(Model(), 3, "{}", '{"trial": 3}')
    assert [file.name for file in folder.best.predictor_of(3)] == ["best.keras", "preprocessor.json", "predictor.json"]
    folder.best.save(Model(), 4)  # the files of the other trial are still there
    assert folder.best.predictor_of(4) is folder.best.predictor_of(3) is None
    for damaged in ("", "[]", '{"trial": "4"}'):
        folder.best.save_description(damaged)
        assert folder.best.predictor_of(4) is None


def test_a_kill_while_the_model_is_written_leaves_it_without_a_trial(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path, "toy")
    folder.best.save(Model(), 3, "{}", '{"trial": 3}')
    monkeypatch.setattr(folder.best, "save_description", lambda text: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        folder.best.save(Model(), 4, "{}", '{"trial": 4}')
    assert not folder.best.is_loadable(4)
    assert not folder.best.is_loadable(3)
