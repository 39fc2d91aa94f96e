"""What a study keeps of a run that is killed: read from copies of its folder, taken while the run goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import small_study
from fake_trainer import Fake

import lossreg
from lossreg.errors import InputError, LossregError
from lossreg.search import history, one_split, tracked
from lossreg.search.retrainer import Retrainer
from lossreg.storage.observer import Observer
from lossreg.storage.trials import ATTRIBUTE
from lossreg.tracking import Untracked
from lossreg.training import mappable_losses

FOLDER, KILLED = Path(".lossreg"), Path("killed")
WHERE = {"uri": "sqlite:///mlflow.db", "experiment": "small", "experiment_id": "1", "run_id": "abc"}
STUDY = small_study.study(verdict={"repeats": 3, "outer": 0}, search={**small_study.SEARCH, "confirm": 0})


def copy():
    shutil.copytree(FOLDER, KILLED / FOLDER, dirs_exist_ok=True)


class Opened(Untracked):
    """Stands in for MLflow with a parent run; a kill while it finishes leaves the copy."""

    run_id, experiment_id = WHERE["run_id"], WHERE["experiment_id"]

    def where(self):
        return WHERE

    def finish(self, result, model=None):
        copy()


class Copies(Observer):
    """Copies the study's folder at each epoch, which leaves the copy of a kill during the last one."""

    def epoch(self, active, epochs_done):
        copy()


@pytest.fixture(autouse=True)
def _tracked(tmp_path, monkeypatch):
    small_study.write_rows(tmp_path, 300)
    (tmp_path / KILLED).mkdir()
    small_study.write_rows(tmp_path / KILLED, 300)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracked, "tracker", lambda *args, **options: Opened())


def test_a_verdict_is_there_after_a_kill_while_mlflow_is_written_and_is_reached_once(monkeypatch):
    whole = lossreg.tune(STUDY)
    monkeypatch.chdir(KILLED)
    left = lossreg.results(STUDY)
    assert left.verdict == whole.verdict is not None
    assert left.tracking["run_id"] == WHERE["run_id"]
    assert left.seconds["training"] == whole.seconds["training"]
    assert 0 < left.seconds["verdict"] <= left.seconds["total"] <= whole.seconds["total"]
    monkeypatch.setattr(Retrainer, "__enter__", lambda retrainer: pytest.fail("nothing is left to train"))
    resumed = lossreg.tune(STUDY)
    assert resumed.verdict == whole.verdict
    assert resumed.seconds == left.seconds, "a run that trains nothing adds no time"
    assert lossreg.results(STUDY).reached.is_over


def test_seconds_notes_and_parent_run_of_a_search_that_is_killed_are_kept(monkeypatch):
    monkeypatch.setattr(Opened, "finish", Untracked.finish)
    document = small_study.study(verdict={"enabled": False})
    trainer = Fake(lambda plan, epoch: 1.0 / epoch, slots=2)
    whole = lossreg.tune(document, trainers=[trainer], progress=Copies())
    monkeypatch.chdir(KILLED)
    left = lossreg.results(document)
    assert left.notes == whole.notes != []
    assert 0 < len(left.trials) < 6
    assert left.tracking == WHERE
    assert left.seconds["training"] > 0
    resumed = lossreg.tune(document, trainers=[Fake(trainer.curve, slots=2)])
    assert len(resumed.trials) == 6
    for name in ("total", "training", "search"):
        assert resumed.seconds[name] > left.seconds[name] > 0, name


def test_the_reason_of_a_verdict_that_failed_is_there_after_a_kill(monkeypatch):
    def fails(retrainer):
        raise RuntimeError("no room")

    monkeypatch.setattr(Retrainer, "__enter__", fails)
    whole = lossreg.tune(STUDY)
    assert "no room" in whole.failure
    monkeypatch.chdir(KILLED)
    left = lossreg.results(STUDY)
    assert left.failure == whole.failure
    assert whole.failure in left.notes


@pytest.mark.parametrize("spent", ["noon", {"total": None}, {"total": 9.0, "training": "long"}, {"total": 1.0}])
def test_seconds_of_a_run_that_are_no_numbers_or_older_are_left_out(spent):
    summary = {"total": 3.0, "training": 2.0}
    assert history.seconds({ATTRIBUTE: {"seconds": summary}, history.SPENT: spent}) == summary


def test_a_study_whose_folder_is_renamed_while_it_runs_ends_with_an_error_and_goes_on_where_it_is_moved_back():
    class Renames(Observer):
        def searched(self):
            FOLDER.rename("elsewhere")

    with pytest.raises(LossregError, match="was removed or renamed while the study ran") as error:
        lossreg.tune(STUDY, progress=Renames())
    assert error.value.exit_code == 1
    Path("elsewhere").rename(FOLDER)
    assert len(lossreg.results(STUDY).trials) == 6
    assert lossreg.tune(STUDY).verdict


class Stops(Observer):
    """Ends the study from the call of a function on that foreign code answers with an error, or with a refusal."""

    is_asked = False

    def stopping(self):
        return self.is_asked

    def meanwhile_in(self, monkeypatch, owner, name, answer=""):
        def interrupted(*args, **options):
            self.is_asked = True
            if answer:
                return answer
            raise SystemError("returned a result with an exception set")

        monkeypatch.setattr(owner, name, interrupted)


def test_an_interrupt_that_foreign_code_makes_a_refusal_of_is_no_trait_of_the_study(monkeypatch):
    observer = Stops()
    observer.meanwhile_in(monkeypatch, mappable_losses, "rehearse", "SystemError: it returned an exception set")
    with pytest.raises(KeyboardInterrupt):
        lossreg.tune(STUDY, progress=observer)
    with pytest.raises(InputError, match="has not been run yet"):
        lossreg.results(STUDY)


@pytest.mark.long
@pytest.mark.parametrize(("owner", "name"), [(Retrainer, "scores"), (one_split, "predictions")])
def test_an_interrupt_that_foreign_code_makes_an_error_of_is_no_failure(monkeypatch, owner, name):
    study = {**STUDY, "search": {**STUDY["search"], "confirm": 2}}
    observer = Stops()
    with monkeypatch.context() as patch:
        observer.meanwhile_in(patch, owner, name)
        with pytest.raises(KeyboardInterrupt):
            lossreg.tune(study, progress=observer)
    result = lossreg.tune(study)
    assert result.verdict
    assert result.verdict.openings == 1
    assert (result.failure, [note for note in result.notes if "exception set" in note]) == ("", [])
