"""Which of several workers finishes a study: one of them, whoever of the others dies or leaves; without a server."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack

import commands
import optuna
import pytest
from fake_trainer import Fake
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from lossreg import tracking
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.search import completion, rehearsal, restore, run, top_model
from lossreg.search.history import FINISHED
from lossreg.search.shared_run import REPLACED, UNCONFIRMED, VERDICT_REPLACED
from lossreg.storage import server, shared_study
from lossreg.storage.best_model import BestModel
from lossreg.storage.observer import Observer
from lossreg.storage.server import Forwarding
from lossreg.storage.shared_study import SharedStudy
from lossreg.storage.trials import ATTRIBUTE
from lossreg.storage.workers import WAITS

URL = "postgresql://db.example.org/studies"
DEAD_AFTER = 60.0
IRIS = {"source": "sklearn:iris"}
FINISHES = "this worker finishes the study"


class Clock:
    """Time that passes while a worker waits, five seconds at a look; `happens` has what is done at each look."""

    def __init__(self):
        self.seconds, self.happens = 0.0, []

    def pause(self, seconds):
        self.seconds += 5.0
        if self.happens:
            self.happens.pop(0)()


class Heard(Observer):
    """Remembers messages; does `last` when the last of so many trials has ended, `finishing` when it first finishes."""

    def __init__(self, trials=0, last=lambda: None, finishing=lambda: None):
        self.messages, self._trials, self._last, self._finishing = [], trials, last, finishing

    def trained(self, result):
        if self.messages[-1:] == [FINISHES] and self.messages.count(FINISHES) == 1:
            self._finishing()

    def message(self, text):
        self.messages.append(text)

    def trial(self, record, result):
        if len(result.trials) == self._trials:
            self._last()


class Cut(Forwarding):
    """The connection of one worker: cut at one of its writes about the study, for a while in which `happens` does."""

    def __init__(self, inner, writes, happens):
        super().__init__(inner)
        self.writes, self.happens = writes, happens

    def set_study_user_attr(self, *args):
        self.writes -= 1
        if self.writes == 0:
            self.happens()
            unreachable = OperationalError("UPDATE", {}, Exception("network is unreachable"))
            raise StorageInternalError("An exception is raised during the commit.") from unreachable
        self._inner.set_study_user_attr(*args)


class Site:
    """A study in a storage: workers that run it, and others that only have joined; links: of those that come next."""

    data, confirm = IRIS, 0

    def __init__(self, storage, folder):
        self.storage, self.folder, self.links = storage, folder, []

    def connected(self):
        return self.links.pop(0) if self.links else self.storage

    def spec(self, trials):
        return studies.of({
            "name": "many", "data": self.data, "model": {"hidden": [4]}, "train": {"epochs": 1},
            "search": {"trials": trials, "metric": "accuracy", "confirm": self.confirm},
            "losses": {"cross_entropy": {}, "focal": {}},
            "verdict": {"enabled": False}, "tracking": {"enabled": False}, "storage": {"url": URL},
        })  # fmt: skip

    def shared(self, clock=None):
        clock = clock or Clock()
        return SharedStudy(
            self.folder, "many", URL, dead_after=DEAD_AFTER, patience=300.0, now=lambda: clock.seconds,
            pause=clock.pause,
        )  # fmt: skip

    def joined(self, task=WAITS):
        """A worker that has joined and beats when it is told to."""
        workers = self.shared().workers
        workers.join(task)
        return workers

    def run(self, trials, clock=None, last=lambda: None, loaded=lambda: None, finishing=lambda: None):
        """Run the study as one worker, which has loaded its data when it calls `loaded`; return what it says."""
        heard = Heard(trials, last, finishing)
        self.execute(trials, clock, heard, loaded)
        return heard.messages

    def execute(self, trials, clock, heard, loaded=lambda: None, *, is_verdict=False):
        trainers = (Fake(lambda plan, epoch: 0.5),)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rehearsal, "rehearse", lambda prepared: loaded() or ({}, []))
            return run.Run(
                self.spec(trials), self.shared(clock), heard, time.perf_counter(), trainers=trainers,
                is_verdict=is_verdict,
            ).execute()  # fmt: skip

    def end(self):
        """Have all workers counted as dead, as by another one that has not heard of them for long."""
        study = optuna.load_study(study_name="many:workers", storage=self.storage)
        for trial in study.get_trials(states=[TrialState.RUNNING]):
            study.tell(trial.number, state=TrialState.FAIL)

    def finisher(self):
        return self.shared().read().user_attrs[FINISHED]["worker"]

    def has_ended(self, trials):
        """True if it is noted that nothing is left to do."""
        return completion.is_noted(self.shared().read().user_attrs[ATTRIBUTE], self.spec(trials), uri="")

    def trials(self):
        return optuna.load_study(study_name="many", storage=self.storage).get_trials()


@pytest.fixture
def site(tmp_path, monkeypatch):
    there = Site(InMemoryStorage(), tmp_path)
    monkeypatch.setattr(server, "connect", lambda *args: there.connected())
    monkeypatch.setattr(server, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(top_model, "save", lambda *args: None)
    return there


def test_a_worker_that_comes_while_the_first_one_lies_dead_finishes_the_study(site):
    site.run(2)
    site.joined()
    messages = site.run(4)
    assert FINISHES in messages
    assert site.has_ended(4)


def test_a_second_worker_waits_and_finishes_the_study_if_the_first_leaves_before(site):
    site.run(2)
    first, clock = site.joined(), Clock()
    clock.happens = [first.pulse, first.pulse, first.pulse, first.leave]
    messages = site.run(4, clock)
    assert f"worker {first.name} finishes the study; this one waits in case it does not" in messages
    assert messages[-1] == FINISHES
    assert clock.happens == []
    assert site.has_ended(4)


def test_a_third_worker_leaves_when_two_before_it_are_alive(site):
    site.run(2)
    first, second, clock = site.joined(), site.joined(), Clock()
    clock.happens = [first.pulse, second.pulse]
    messages = site.run(4, clock)
    assert messages[-1] == f"worker {first.name} finishes the study"
    assert not site.has_ended(4)


def test_a_worker_that_leaves_while_another_one_confirms_says_so(site):
    site.run(2)
    site.confirm = 2
    first, second, clock = site.joined(), site.joined(), Clock()
    clock.happens = [first.pulse, second.pulse]
    messages = site.run(4, clock)
    assert messages[-2] == f"worker {first.name} finishes the study"
    assert messages[-1] == f"{UNCONFIRMED}; `lossreg.results` shows the confirmed ones"


def test_a_worker_that_stood_still_at_the_end_does_not_finish_again_what_another_one_finished(site):
    others = []
    messages = site.run(2, last=lambda: others.extend(site.run(2)))
    assert others[-1] == FINISHES
    assert messages[-1].endswith("has finished the study")
    assert FINISHES not in messages
    assert site.has_ended(2)


def test_a_worker_that_loads_its_data_while_the_study_is_finished_does_not_finish_it_again(site):
    site.run(2)
    others = []
    messages = site.run(4, loaded=lambda: others.extend(site.run(4)))
    assert others[-1] == FINISHES
    assert messages[-1].endswith("has finished the study")
    assert site.has_ended(4)


def test_a_worker_whose_data_are_not_those_of_the_study_that_began_while_it_loaded_them_is_refused(site, tmp_path):
    rows = tmp_path / "rows.csv"
    site.data = {"source": str(rows), "target": "kind"}

    def write(first):
        rows.write_text("x,kind\n" + "".join(f"{first + row},{'ab'[row % 2]}\n" for row in range(60)))

    def begun_elsewhere():
        write(1)
        site.run(2)

    write(0)
    with pytest.raises(InputError, match=r"rows\.csv \(digest \w+ -> \w+\).*: every worker needs the same file"):
        site.run(4, loaded=begun_elsewhere)
    assert [trial.state.is_finished() for trial in site.trials()] == [True, True]
    assert site.has_ended(2)


def test_a_worker_that_counted_as_dead_while_it_finished_the_study_leaves_it_to_the_one_that_did(site, monkeypatch):
    others, saved = [], []
    monkeypatch.setattr(top_model, "save", lambda *args: saved.append(args))

    def paused():
        site.end()
        others.extend(site.run(2))
        assert len(saved) == 1

    messages = site.run(2, finishing=paused)
    assert others[-1] == FINISHES
    assert messages[-2:] == [REPLACED, f"worker {site.finisher()} has finished the study"]
    assert len(saved) == 1
    assert site.has_ended(2)


def test_a_worker_that_counted_as_dead_finishes_the_study_if_the_one_that_took_over_dies(site, monkeypatch):
    clock, saved = Clock(), []
    monkeypatch.setattr(top_model, "save", lambda *args: saved.append(args))
    others = []

    def paused():
        site.end()
        others.append(site.joined())
        clock.happens = [others[0].pulse, others[0].pulse, others[0].leave]

    messages = site.run(2, clock, finishing=paused)
    waits = f"worker {others[0].name} finishes the study; this one waits in case it does not"
    assert messages[-4:] == [FINISHES, REPLACED, waits, FINISHES]
    assert len(saved) == 1
    assert site.has_ended(2)


class Paused(Heard):
    """Does something once when the trials of the study are over."""

    def __init__(self, happens):
        super().__init__()
        self.happens = [happens]

    def trained(self, result):
        if self.happens:
            self.happens.pop()()


def test_a_verdict_that_counted_as_dead_leaves_the_study_to_the_worker_that_took_it_over(site, monkeypatch):
    saved = []
    monkeypatch.setattr(top_model, "save", lambda *args: saved.append(args))
    site.run(2)

    def paused():
        site.end()
        site.run(3)
        saved.clear()
        noted.update(site.shared().read().user_attrs)

    noted, heard = {}, Paused(paused)
    result = site.execute(2, None, heard, is_verdict=True)
    assert heard.messages[-1] == VERDICT_REPLACED
    assert len(result.trials) == 3
    assert saved == []
    assert site.shared().read().user_attrs == noted
    assert site.has_ended(3)


@pytest.fixture
def models(monkeypatch):
    """The folders that have the model of the study's top trial."""
    folders = set()
    monkeypatch.setattr(top_model, "save", lambda prepared, result, folder, progress: folders.add(folder.path))
    monkeypatch.setattr(BestModel, "is_loadable", lambda best, number: best.folder in folders)
    return folders


def test_nothing_is_left_to_do_for_a_worker_elsewhere_once_the_study_is_finished(site, models, tmp_path):
    site.run(2)
    assert models == {site.folder}
    elsewhere, heard = Site(site.storage, tmp_path / "new"), Heard()
    assert run.finished(elsewhere.spec(3), elsewhere.shared(), heard) is None
    result = run.finished(elsewhere.spec(2), elsewhere.shared(), heard)
    assert len(result.trials) == 2
    assert heard.messages == [
        f"worker {site.finisher()} has finished the study, and has its model; `load_trial(study, train=True)` trains "
        "it again here"
    ]  # fmt: skip
    # the one that did has its own
    assert completion.model_holder(site.shared(), result, site.shared().read().user_attrs) == ""
    with pytest.raises(InputError) as error:
        restore.look_up(elsewhere.spec(2))
    assert re.search(
        rf"the weights of trial \d \(\w+\) are not here: worker {site.finisher()} trained it, and worker "
        rf"{site.finisher()}, which finished the study, the recommended model", str(error.value),
    )  # fmt: skip
    assert "train=True" in str(error.value)


def test_a_study_that_was_finished_without_a_model_is_finished_by_the_next_worker(site, tmp_path, models, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(top_model, "save", lambda *args: None)
        site.run(2)
    elsewhere = Site(site.storage, tmp_path / "new")
    assert run.finished(elsewhere.spec(2), elsewhere.shared(), Heard()) is None


def test_a_study_whose_model_is_gone_from_the_folder_that_had_it_is_finished_again_there(site, models):
    site.run(2)
    models.clear()
    assert run.finished(site.spec(2), site.shared(), Heard()) is None
    messages = site.run(2)
    assert messages[-1] == FINISHES
    assert models == {site.folder}


def test_a_worker_that_comes_while_a_command_has_the_study_for_itself_waits_and_then_finishes_it(site):
    site.run(2)
    before, clock, alone = len(site.trials()), Clock(), ExitStack()
    holder = site.shared()
    alone.enter_context(holder.lock())

    def leave():
        assert len(site.trials()) == before
        alone.close()

    clock.happens = [lambda: None, holder.workers.pulse, leave]
    messages = site.run(4, clock)
    assert messages[0].startswith(f"waiting for {holder.workers.name}, which has the study for itself")
    assert messages[-1] == FINISHES
    assert site.has_ended(4)


TRACKED = f"""
name = "many"
data.source = "sklearn:iris"
search = {{ trials = 2, metric = "accuracy" }}
losses = {{ cross_entropy = {{}}, focal = {{}} }}
tracking.uri = "sqlite:///mlflow.db"
storage.url = "{URL}"
"""


@pytest.mark.parametrize(("write", "trials"), [(1, 2), (2, 4), (3, 4)], ids=["the first", "its summary", "its last"])
def test_a_write_that_was_cut_off_is_not_repeated_once_others_have_finished_the_study(site, write, trials):
    others, left = [], {}

    def happens():
        site.end()
        others.extend(site.run(trials))
        left.update(site.shared().read().user_attrs)

    site.links = [Cut(site.storage, write, happens)]
    messages = site.run(2)
    assert others[-1] == FINISHES
    assert site.shared().read().user_attrs == left
    assert messages[-1].endswith("has finished the study")
    assert site.has_ended(trials)


def test_what_others_wrote_while_a_sync_counted_as_dead_stays(site, monkeypatch, capfd):
    site.run(2)
    left = {}

    class Slept:
        """Stands for a tracker on a machine that sleeps while it writes."""

        def __init__(self, *args, **options):
            pass

        def sync(self, *args, **options):
            site.end()
            site.run(4)
            left.update(site.shared().read().user_attrs)
            return {"uri": "sqlite:///mlflow.db", "run_id": "r"}

    monkeypatch.setattr(tracking, "Tracker", Slept)
    monkeypatch.setattr(shared_study, "of", lambda spec: site.shared())
    (site.folder / "many.toml").write_text(TRACKED)
    monkeypatch.chdir(site.folder)
    code, _, err = commands.runner(monkeypatch, capfd)("sync", "many.toml")
    assert code == 1
    assert "counted as dead" in err
    assert "Run the command again" in err
    assert site.shared().read().user_attrs == left
    assert site.has_ended(4)
