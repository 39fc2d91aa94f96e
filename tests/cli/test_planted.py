"""A study's folder of a stranger, with code planted wherever some software would run it: none of it is run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import commands
import joblib
import keras
import numpy as np
import pytest
from fake_trainer import Fake
from inline import Inline
from mlflow import MlflowClient
from searches import curve

import lossreg
from lossreg import tracking
from lossreg.cli import interrupts
from lossreg.registry import registry
from lossreg.reporting import study_plots
from lossreg.storage.study_folder import StudyFolder
from lossreg.tracking import tracker

STUDY = {
    "name": "toy",
    "data": {"source": "sklearn:iris"},
    "losses": {"cross_entropy": {}, "focal": {}},
    "train": {"epochs": 2},
    "search": {"trials": 3, "metric": "accuracy", "lanes": 1},
    "tracking": {"enabled": False},
    "verdict": {"enabled": False},
}
TOML = """
name = "toy"
data.source = "evil.py:rows"
model.build = "evil:build"
train.epochs = 2
search = {trials = 3, metric = "accuracy", lanes = 1}
losses = {cross_entropy = {}, focal = {}, mine = {function = "evil.py:loss"}}
verdict.enabled = false
"""
HARMLESS = """
name = "toy"
data.source = "sklearn:iris"
search = {trials = 3, metric = "accuracy", lanes = 1}
losses = {cross_entropy = {}, focal = {}}
"""
CODE = (
    'import pathlib\npathlib.Path(__file__).with_name("ran").touch()\ndef rows(): return [[0.0]] * 9, [0, 1, 2] * 3\n'
)
HOSTILE = "\x1b]0;owned\x07<script>alert(1)</script> [x](javascript:alert(1)) {0.__class__} %s \u202e"


class Bomb:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self):
        return Path.touch, (self.ran,)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """The folder of a study with code in every file of it."""
    folder = tmp_path_factory.mktemp("stranger")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        best = lossreg.tune(STUDY, trainers=[Fake(curve)]).best.number
    plant(StudyFolder(folder / ".lossreg" / "toy", "toy"), best)
    return folder


def plant(study: StudyFolder, best: int) -> None:
    """Replace what a study writes by files that run code where they are loaded without care."""
    bomb = np.array([Bomb(Path("ran"))], object)
    inputs = keras.Input((4,))
    doubled = keras.layers.Lambda(lambda x: __import__("pathlib").Path("ran").touch() or x)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(doubled(inputs)))
    Path("ran").unlink(missing_ok=True)
    study.best.save(model, best)
    (study.path / "preprocessor.json").unlink(missing_ok=True)
    joblib.dump(Bomb(Path("ran")), study.path / "preprocessor.joblib")
    for number in range(3):
        np.savez(study.path / f"weights-{number:06d}.npz", allow_pickle=True, w0000=bomb, trial=number)
    np.savez(study.path / "verdict.npz", allow_pickle=True, key=bomb)
    study.journal.write_text(hostile(study.journal.read_text()))


def hostile(journal: str) -> str:
    """Return a journal whose study names code as its own, with texts that mean something to terminals and browsers."""
    lines = [json.loads(line) for line in journal.splitlines()]
    for line in lines:
        if about := line.get("user_attr", {}).get("lossreg"):
            about |= {"notes": [HOSTILE]} if "notes" in about else {"reason": HOSTILE, "expression": HOSTILE}
            if "fingerprint" in about:
                about["data"]["name"] = HOSTILE
                about["spec"]["data"]["source"] = about["fingerprint"]["data.source"] = "evil.py:rows"
                about["spec"]["model"] = {"build": "evil:build"}
    return "".join(f"{json.dumps(line)}\n" for line in lines)


@pytest.fixture
def folder(stranger, tmp_path, monkeypatch):
    """The stranger's folder as the current one, with modules in it that other software would import by their names."""
    shutil.copytree(stranger, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracker, "Process", Inline)
    for name in ("evil", "mlflow", "sitecustomize", "uvicorn", "sqlalchemy"):
        Path(f"{name}.py").write_text(CODE)
    Path("toy.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def unplotted(monkeypatch):
    """`sync` draws no plots, half of its time: `test_a_command_that_looks_runs_nothing` has it draw them."""
    monkeypatch.setattr(study_plots, "figures", lambda result: {})


@pytest.fixture
def plugin(folder, unplotted, monkeypatch):
    """An installed plugin that makes a file when it is imported."""
    site = folder / "site"
    (site / "evil_plugin-1.0.dist-info").mkdir(parents=True)
    (site / "evil_plugin-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: evil-plugin\nVersion: 1.0\n"
    )
    (site / "evil_plugin-1.0.dist-info" / "entry_points.txt").write_text("[lossreg]\nevil = evil_plugin\n")
    (site / "evil_plugin.py").write_text(CODE)
    monkeypatch.syspath_prepend(site)
    registry.forget()
    yield site / "ran"
    sys.modules.pop("evil_plugin", None)
    registry.forget()


@pytest.fixture
def command(monkeypatch, capfd):
    return commands.runner(monkeypatch, capfd)


LOOKING = [
    ("results", "toy.toml"), ("results", "toy.toml", "--json"), ("sync", "toy.toml"), ("repair", "toy.toml"),
    ("ui", "toy.toml"), ("losses",), ("show", "focal"), ("plugins",), ("metrics",), ("--version",),
]  # fmt: skip


@pytest.mark.parametrize("args", LOOKING, ids=" ".join)
@pytest.mark.parametrize("safe", [(), ("--safe",)], ids=["", "safe"])
def test_a_command_that_looks_runs_nothing(folder, command, monkeypatch, args, safe):
    monkeypatch.setattr("lossreg.tracking.serve", lambda *given: None)
    code, out, err = command(*args, *(safe if args != ("--version",) else ()))
    assert code == 0, err
    assert not Path("ran").exists()
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_a_model_that_is_noted_is_tracked_without_being_loaded(folder, unplotted, command):
    path = folder / ".lossreg" / "toy" / "best.keras"
    model = keras.saving.load_model(path, safe_mode=False)
    Path("ran").unlink()
    tracking.note(tracking.describe(model, path))
    code, _, err = command("sync", "toy.toml")
    assert (code, "has code in it" in err) == (0, False)
    assert not Path("ran").exists()
    [logged] = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db").search_logged_models(["1"])
    assert logged.status == "READY"


@pytest.mark.parametrize("key", ["", "' OR '1'='1", *(pytest.param(key, marks=pytest.mark.long) for key in (None, 3))])
def test_a_journal_takes_no_run_of_another_study_for_its_own(folder, unplotted, command, key):
    """Its id and its run are texts of a stranger, and the store has other studies."""
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    other = client.create_run("0", tags={"lossreg.key": "another"}).info.run_id
    journal = Path(".lossreg/toy/journal.log")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if "fingerprint" in (about := line.get("user_attr", {}).get("lossreg", {})):
            about |= {"id": key, "tracking": {"run_id": other}}
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    before = client.get_run(other).to_dictionary()
    command("sync", "toy.toml")
    assert client.get_run(other).to_dictionary() == before


@pytest.mark.parametrize("name", ["lock", "tracking.lock", "journal.part", "best.json", "weights.part"])
def test_nothing_is_written_where_a_planted_link_leads(folder, unplotted, command, name):
    precious = folder / "precious"
    precious.write_text("precious")
    path = folder / ".lossreg" / "toy" / name
    path.unlink(missing_ok=True)
    path.symlink_to(precious)
    with Path(".lossreg/toy/journal.log").open("ab") as journal:
        journal.write(b"damaged\n")
    assert command("repair", "toy.toml")[0] == command("sync", "toy.toml")[0] == 0
    assert precious.read_text() == "precious"


OF_LOSSES = [("losses",), ("show", "focal"), ("plugins",), ("check", "huber", "--only", "names")]


@pytest.mark.parametrize("args", [*LOOKING[:5], ("metrics",)], ids=" ".join)
def test_a_command_that_looks_at_a_study_runs_no_plugin(plugin, command, monkeypatch, args):
    monkeypatch.setattr("lossreg.tracking.serve", lambda *given: None)
    assert command(*args)[0] == 0
    assert not plugin.exists()


@pytest.mark.parametrize("args", OF_LOSSES, ids=" ".join)
@pytest.mark.parametrize(
    ("options", "runs"), [([], True), (["--safe"], False), (["--safe", "--allow-plugin", "evil"], True)]
)
def test_a_plugin_runs_where_losses_are_looked_up_but_in_safe_mode(plugin, command, args, options, runs):
    command(*args, *options)
    assert plugin.exists() is runs


def test_a_model_with_code_in_it_is_not_loaded_to_track_it(folder, unplotted, command):
    code, out, err = command("sync", "toy.toml")
    assert (code, "3 trials are in the experiment" in out) == (0, True)
    assert "best.keras: has code in it" in " ".join(err.split())


RUNNING = [("tune",), ("tune", "--dry-run"), ("tune", "--fresh"), ("verdict",), ("model",)]


@pytest.mark.parametrize("args", RUNNING, ids=" ".join)
@pytest.mark.parametrize("way", ["--safe", "LOSSREG_SAFE"])
def test_in_safe_mode_a_study_with_code_is_one_clear_mistake(folder, command, monkeypatch, args, way):
    before = sorted(Path().rglob("*"))
    if way == "LOSSREG_SAFE":
        monkeypatch.setenv(way, "1")
    code, out, err = command(args[0], "toy.toml", *args[1:], *["--safe"] * (way == "--safe"))
    assert (code, out) == (2, "")
    for key in ("data.source: evil.py:rows", "model.build: evil:build", "losses.mine.function: evil.py:loss"):
        assert f"toy.toml: {key} names code, which safe mode does not run" in err
    assert not Path("ran").exists()
    assert sorted(Path().rglob("*")) == before


def test_code_that_only_the_journal_names_is_not_run_in_safe_mode(folder, command):
    Path("toy.toml").write_text(HARMLESS)
    np.savez(".lossreg/toy/weights-000000.npz", w0000=np.zeros(2), trial=0)
    code, _, err = command("model", "toy.toml", "--trial", "0", "--safe")
    assert code == 2
    assert "data.source: evil.py:rows names code, which safe mode does not run" in err
    assert not Path("ran").exists()


@pytest.mark.parametrize("args", [("tune",), ("tune", "--dry-run"), ("sync",)], ids=" ".join)
def test_nothing_is_written_to_an_address_that_only_the_study_names(folder, command, args):
    Path("toy.toml").write_text(f'{HARMLESS}\ntracking.uri = "sqlite:///profile.db"\n')
    code, _, err = command(args[0], "toy.toml", *args[1:], "--safe")
    assert code == 2
    assert "toy.toml: tracking.uri: is an address that only the study file names" in err
    assert "--set tracking.uri=..." in err
    assert not Path("profile.db").exists()


def test_an_address_of_the_user_s_own_is_written_to_in_safe_mode(folder, unplotted, command):
    Path("toy.toml").write_text(f'{HARMLESS}\ntracking.uri = "http://127.0.0.1:9"\n')
    code, _, err = command("sync", "toy.toml", "--safe", "--set", "tracking.uri=sqlite:///mine.db")
    assert code == 0, err
    assert Path("mine.db").exists()


def test_weights_with_code_in_them_are_damaged(folder, command):
    code, _, err = command("model", "toy.toml", "--trial", "1")
    assert code == 2
    assert "weights-000001.npz: this file of weights is damaged" in err
    assert "allow_pickle=False" in err
    assert not Path("ran").exists()


def test_without_safe_mode_the_code_that_was_planted_runs(folder, command):
    command("tune", "toy.toml", "--dry-run")
    assert Path("ran").exists()


@pytest.mark.parametrize("file", ["preprocessor.joblib", "verdict.npz"])
def test_the_files_that_were_planted_run_code_where_they_are_loaded_without_care(folder, file):
    path = Path(".lossreg/toy", file)
    joblib.load(path) if path.suffix == ".joblib" else np.load(path, allow_pickle=True)["key"]
    assert Path("ran").exists()


def test_the_model_that_was_planted_runs_code_where_it_is_loaded_without_care(folder):
    keras.saving.load_model(".lossreg/toy/best.keras", safe_mode=False)
    assert Path("ran").exists()


def test_a_pickled_preprocessor_is_not_loaded_in_safe_mode(folder):
    path = Path(".lossreg/toy/preprocessor.joblib")
    with lossreg.safe_mode(), pytest.raises(lossreg.InputError, match=r"joblib: is a pickle.*safe mode does not run"):
        lossreg.load_preprocessor(path)
    assert not Path("ran").exists()
    Path("p.pkl").write_bytes(pickle.dumps(Bomb(Path("ran"))))
    with pytest.raises(lossreg.InputError, match="is no preprocessor of lossreg"):
        lossreg.load_preprocessor("p.pkl")
    assert not Path("ran").exists()


def test_a_model_with_code_in_it_is_one_clear_mistake(folder):
    path = ".lossreg/toy/best.keras"
    with pytest.raises(lossreg.InputError, match=r"best\.keras: has code in it .*If you trust the file.*safe_mode=Fal"):
        lossreg.load_model(path)
    with lossreg.safe_mode(), pytest.raises(lossreg.InputError, match="code in it, which safe mode does not run"):
        lossreg.load_model(path, safe_mode=False)
    assert not Path("ran").exists()
    assert lossreg.load_model(path, safe_mode=False).output_shape == (None, 3)


@pytest.mark.parametrize("link", [".lossreg", ".lossreg/toy", ".lossreg/toy/best.keras", ".lossreg/toy/journal.log"])
def test_safe_mode_writes_through_no_link(folder, command, link):
    Path("toy.toml").write_text(HARMLESS)
    Path(link).rename(folder / "elsewhere")
    Path(link).symlink_to(folder / "elsewhere")
    code, _, err = command("tune", "toy.toml", "--safe")
    assert code == 2
    assert "is a link, and safe mode writes through none" in err


@pytest.mark.parametrize("options", [["--allow-plugin", "arctan"], ["--allow-plugin", "a", "--allow-plugin", "b"]])
def test_plugins_are_allowed_in_safe_mode_alone(folder, command, monkeypatch, options):
    code, out, err = command("losses", *options)
    assert (code, out) == (2, "")
    assert "--allow-plugin: belongs to --safe" in err
    monkeypatch.setenv("LOSSREG_SAFE", "1")
    code, _, err = command("losses", *options)
    assert code == 0
    assert f"{options[1]} is allowed in safe mode, and is no plugin" in err


def test_the_command_that_goes_on_is_as_safe_as_the_one_that_was_interrupted():
    with lossreg.safe_mode(["arctan"]):
        command = interrupts.resuming("tune", Path("toy.toml"), ["search.trials=9"])
    assert command == "lossreg tune toy.toml --safe --allow-plugin arctan --set search.trials=9"
