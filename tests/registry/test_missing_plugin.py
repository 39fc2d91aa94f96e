"""A study whose plugin has been removed: what is said, and how it goes on without."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from fake_trainer import Fake

import lossreg
from lossreg import InputError
from lossreg.registry import registry
from lossreg.search.outline import plan
from lossreg.terminal import caller

PLUGIN = """
from dataclasses import replace
from lossreg import Float, hookimpl
from lossreg.zoo.multiclass import brier

def scaled(y_true, y_pred, *, scale):
    return scale * brier(y_true, y_pred)

@hookimpl
def lossreg_losses():
    yield replace(brier.spec, name="scaled_brier", aliases=(), function=scaled, formula="", elicits="", recommended=(),
                  params=(Float("scale", 1.0, 0.5, 2.0, domain="(0, inf)"),))
"""
LABELS = ("mine", "cross_entropy", "focal")
STUDY = {
    "name": "small",
    "data": {"source": "sklearn:iris"},
    "model": {"hidden": [4]},
    "train": {"epochs": 1},
    "search": {"trials": 14, "metric": "accuracy", "lanes": 4},
    "losses": {"mine": {"loss": "scaled_brier"}, "cross_entropy": {}, "focal": {}},
    "tracking": {"enabled": False},
    "verdict": {"enabled": False},
}
SKIP = ["plugins.skip_missing=true"]


def install(folder, version):
    """Install the plugin into a folder, and return what an uninstaller removes."""
    info = folder / f"lossreg_scaled-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lossreg-scaled\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[lossreg]\nscaled = scaled_module\n")
    (folder / "scaled_module.py").write_text(PLUGIN)
    return info


@pytest.fixture(scope="module")
def removed(tmp_path_factory):
    """A folder with a study that was begun with a plugin; the plugin is gone."""
    folder = tmp_path_factory.mktemp("removed")
    info = install(folder, "1.3")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        registry.forget()
        begun = lossreg.tune(STUDY, ["search.confirm=0"])
        assert {trial.candidate for trial in begun.trials} == set(LABELS)
        for file in info.iterdir():
            file.unlink()
        info.rmdir()
        registry.forget()
        yield folder
    sys.modules.pop("scaled_module", None)
    registry.forget()


def test_a_missing_plugin_is_named_with_its_distribution_and_version(removed, monkeypatch):
    monkeypatch.chdir(removed)
    for work in (lossreg.tune, plan):
        with pytest.raises(
            InputError, match=r"the loss mine came from lossreg-scaled 1\.3, which is not installed"
        ) as caught:
            work(STUDY, ["search.trials=20"])
        assert caught.value.exit_code == 2
        assert "as overrides" in str(caught.value)
    with caller.shell(), pytest.raises(InputError, match=r"--set plugins\.skip_missing=true"):
        plan(STUDY)


def test_a_study_goes_on_with_another_version_of_a_plugin_and_notes_both(removed, tmp_path, monkeypatch):
    shutil.copytree(removed / ".lossreg", tmp_path / ".lossreg")
    install(tmp_path, "1.4")
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        registry.forget()
        result = lossreg.tune(STUDY, ["search.trials=16"], trainers=[Fake(lambda plan, epoch: 0.5)])
    registry.forget()
    line = "mine came from lossreg-scaled 1.3 when the study began, and comes from lossreg-scaled 1.4 now"
    assert line in result.notes
    assert line in lossreg.results(STUDY).notes
    assert result.counts["complete"] == 16


def test_the_model_of_another_loss_is_had_and_that_of_the_missing_one_is_refused(removed, monkeypatch):
    monkeypatch.chdir(removed)
    model, _ = lossreg.load_trial(STUDY, loss="focal")
    assert model.output_shape == (None, 3)
    with pytest.raises(InputError, match=r"mine came from lossreg-scaled 1\.3"):
        lossreg.load_trial(STUDY, loss="mine")


def test_a_verdict_leaves_the_missing_loss_out(removed, tmp_path, monkeypatch):
    shutil.copytree(removed / ".lossreg", tmp_path / ".lossreg")
    monkeypatch.chdir(tmp_path)
    verdict = lossreg.tune({**STUDY, "verdict": {"repeats": 2, "outer": 0}}, SKIP).verdict
    assert (verdict.winner.candidate, verdict.baseline.candidate) == ("focal", "cross_entropy")
    assert verdict.repeats == 2


def test_a_study_goes_on_without_the_missing_loss_where_asked(removed, monkeypatch):
    monkeypatch.chdir(removed)
    before = lossreg.results(STUDY)
    count = sum(trial.candidate == "mine" for trial in before.trials)
    outline = plan(STUDY, [*SKIP, "search.trials=34"])
    assert [row[0] for row in outline.rows] == ["cross_entropy", "focal"]
    result = lossreg.tune(STUDY, [*SKIP, "search.trials=34", "search.confirm=0"])
    assert sum(trial.candidate == "mine" for trial in result.trials) == count
    assert result.counts["complete"] == 34
    assert len({trial.number for trial in result.trials}) == 34
    assert "mine is left out: it came from lossreg-scaled 1.3, which is not installed" in result.notes
    assert {row.candidate for row in result.ranking()} == set(LABELS)
    assert Path(".lossreg/small/best.keras").exists() or result.best.candidate == "mine"
