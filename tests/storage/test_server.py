"""A storage that does not answer is asked again, for a while; what it does not know is not asked again."""

import re
import threading
from functools import partial

import grpc
import optuna
import psycopg
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import GrpcStorageProxy
from optuna.storages._grpc.server import make_server
from optuna.trial import TrialState
from postgres import PASSWORD, free_port
from sqlalchemy.exc import DataError, OperationalError, PendingRollbackError

from lossreg.errors import InputError, LossregError, UnansweredError
from lossreg.storage import server
from lossreg.storage.server import Bounded, Patient, within


def internal(cause):
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    return error


class Call(grpc.RpcError):
    def __init__(self, code, details=""):
        self._code, self._details = code, details

    def code(self):
        return self._code

    def details(self):
        return self._details


AWAY = internal(OperationalError("SELECT 1", {}, Exception("the database system is starting up")))


class Flaky(optuna.storages.InMemoryStorage):
    """Fails so many times before it answers, or after it has obeyed."""

    def __init__(self, failures, error=AWAY, after=False):
        super().__init__()
        self.left, self.error, self.after = failures, error, after

    def set_trial_state_values(self, trial_id, state, values=None):
        if self.left and not self.after:
            self.left -= 1
            raise self.error
        done = super().set_trial_state_values(trial_id, state, values)
        if self.left:
            self.left -= 1
            raise self.error
        return done


def begun(inner, patience=60.0):
    """A patient storage with one running trial, its pauses, in which alone time passes, and what it warned of."""
    pauses, warnings = [], []
    url = "postgresql+psycopg://me:s3cret-word@db/x"
    patient = Patient(inner, url, patience, pause=pauses.append, now=lambda: sum(pauses))
    patient.warn = warnings.append
    study = optuna.create_study(storage=patient)
    study.ask()
    return patient, study, pauses, warnings


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        OperationalError("SELECT 1", {}, Exception("gone")),
        internal(PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")),
        Call(grpc.StatusCode.UNAVAILABLE),
        Call(grpc.StatusCode.UNKNOWN, "Exception calling application: An exception is raised during the commit."),
    ],
)
def test_a_call_is_tried_again_with_longer_pauses_and_said_once(error):
    _, study, pauses, warnings = begun(Flaky(6, error))
    study.tell(0, 1.0)
    assert study.trials[0].value == 1.0
    assert len(pauses) == 6
    assert sum(pauses) > 4 * pauses[0]
    [line] = warnings
    assert "does not answer" in line
    assert "60 s" in line
    assert "s3cret" not in line
    assert "SELECT" not in line


def test_after_its_patience_it_ends_with_one_message():
    patient, study, pauses, warnings = begun(Flaky(10_000), patience=20.0)
    with pytest.raises(
        LossregError, match=r"has not answered for 2\d s .* trials whose end was written are kept"
    ) as error:
        study.tell(0, 1.0)
    assert not isinstance(error.value, InputError)
    assert 20 <= sum(pauses) <= 25
    assert len(warnings) == 1
    # leaving takes no second wait, though other calls are answered from memory
    assert study.trials
    with pytest.raises(LossregError, match="has not answered"):
        patient.set_trial_state_values(0, TrialState.FAIL)
    assert sum(pauses) <= 25


@pytest.mark.parametrize(
    "leave", [lambda patient: patient.hurry(), lambda patient: setattr(patient, "is_stopping", lambda: True)]
)
def test_who_leaves_does_not_wait_for_long_in_a_call_that_is_under_way_either(leave):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if sum(pauses) > 20:
            leave(patient)

    patient = Patient(Flaky(10_000), "grpc://db:1", 300.0, pause, now=lambda: sum(pauses))
    study = optuna.create_study(storage=patient)
    study.ask()
    with pytest.raises(UnansweredError):
        study.tell(0, 1.0)
    assert sum(pauses) < 30


@pytest.mark.parametrize(
    "error",
    [
        internal(DataError("INSERT", {}, Exception("too long"))),
        Call(grpc.StatusCode.UNKNOWN, "Exception calling application: 'x'"),
        UpdateFinishedTrialError("done"),
    ],
)
def test_other_errors_are_not_tried_again(error):
    _, study, pauses, _ = begun(Flaky(1, error))
    with pytest.raises(type(error)):
        study.tell(0, 1.0)
    assert not pauses


class Silent(optuna.storages.InMemoryStorage):
    """Answers a write only after the seconds that `wait` has pass."""

    def set_trial_state_values(self, *args, **kwargs):
        self.wait()
        return super().set_trial_state_values(*args, **kwargs)


def test_a_call_that_is_waited_for_without_an_error_is_told_once():
    now, warnings, storage = [0.0], [], Silent()
    patient = Patient(storage, f"postgresql://me:{PASSWORD}@db/x", 300.0, now=lambda: now[0])
    patient.warn = warnings.append

    def wait(seconds=90):
        for _ in range(0, seconds, 5):
            now[0] += 5.0
            patient.notice()

    study = optuna.create_study(storage=patient)
    for seconds in (10, 90, 90):
        study.ask()
        now[0] += 1000.0
        patient.notice()
        storage.wait = partial(wait, seconds)
        study.tell(len(study.trials) - 1, 1.0)
    assert (
        warnings == ["the storage at postgresql://me:***@db/x has not answered a call for 20 s: it is waited for"] * 2
    )


def test_a_process_that_was_paused_in_a_call_does_not_blame_the_storage():
    now, warnings, storage = [0.0], [], Silent()
    patient = Patient(storage, "postgresql://db/x", 300.0, now=lambda: now[0])
    patient.warn = warnings.append

    def pause():
        now[0] += 60.0
        patient.notice()

    storage.wait = pause
    study = optuna.create_study(storage=patient)
    for _ in range(2):
        study.tell(study.ask(), 1.0)
    assert not warnings


def test_an_end_that_was_written_although_no_answer_came_is_an_end():
    patient, study, _, _ = begun(Flaky(1, after=True))
    study.tell(0, 1.5)
    assert study.trials[0].value == 1.5
    # but another's end is not taken for one's own
    with pytest.raises(UpdateFinishedTrialError):
        patient.set_trial_state_values(study.trials[0]._trial_id, TrialState.COMPLETE, [2.0])


def test_a_missing_driver_is_one_message_with_the_command():
    with pytest.raises(InputError, match=r"driver of postgresql\+pg8000://db/x .* pip install 'lossreg\[postgresql\]'"):
        server.connect("postgresql+pg8000://db/x")
    with pytest.raises(InputError, match=r"nodriver://db/x is no address .* Did you mean postgresql\+psycopg://\?"):
        server.connect("postgresql+nodriver://db/x")


def refusal(url):
    with pytest.raises(LossregError) as refused:
        server.connect(url)
    assert PASSWORD not in str(refused.value)
    assert "SELECT" not in str(refused.value)
    return refused.value


def test_a_server_that_can_be_reached_and_not_used_says_what_would_work(postgres, database):
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE USER guest PASSWORD 'guest-w0rd'")
    cases = {
        database.replace(
            f"tester:{PASSWORD}", "guest:guest-w0rd"
        ): "permission denied for schema .* GRANT ALL ON SCHEMA",
        database.replace(PASSWORD, "wr0ng-one"): "password authentication failed .* PGPASSWORD",
        f"{database}x": r"does not exist.* createdb\.$",
        f"{database}?conect_timeout=3": "invalid connection option.*parameters of libpq",
        database.rpartition("/")[0]: 'database "tester" does not exist.* names no database.*user.s name',
    }
    for url, message in cases.items():
        error = refusal(url)
        assert re.search(f"storage.url: the storage at .* cannot be used .*{message}", str(error))
        assert error.exit_code == 2


def test_tables_of_another_optuna_are_not_a_server_that_does_not_answer(database):
    server.connect(database)
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9'")
    assert re.search("cannot be used .*optuna version .* is no longer compatible", str(refusal(database)))


def test_a_proxy_that_is_not_there_is_told_in_its_own_words(monkeypatch):
    monkeypatch.setattr(server, "SECONDS_TO_CONNECT", 0.1)
    assert "does not answer (TimeoutError: no answer within 0.1 s)" in str(refusal("grpc://127.0.0.1:9"))
    error = Call(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses")
    _, study, _, warnings = begun(Flaky(1, error))
    study.tell(0, 1.0)
    assert "does not answer (ConnectionError: failed to connect to all addresses)" in warnings[0]


class Hangs(optuna.storages.InMemoryStorage):
    """Does not answer so many first calls that end a trial until it is released."""

    def __init__(self, calls):
        super().__init__()
        self.left, self.released = calls, threading.Event()

    def set_trial_state_values(self, trial_id, state, values=None):
        self.left -= 1
        if self.left >= 0:
            self.released.wait()
        return super().set_trial_state_values(trial_id, state, values)


@pytest.fixture
def hanging():
    """A function of the number of calls that hang, which returns what connects to a proxy that is running."""
    servers, storages = [], []

    def start(calls):
        storages.append(Hangs(calls))
        port = free_port()
        servers.append(make_server(storages[-1], "127.0.0.1", port))
        servers[-1].start()
        return partial(GrpcStorageProxy, host="127.0.0.1", port=port)

    yield start
    for storage, running in zip(storages, servers, strict=True):
        storage.released.set()
        running.stop(0).wait()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_call_that_a_proxy_does_not_answer_is_made_again_on_a_new_connection(hanging):
    _, study, pauses, warnings = begun(Bounded(hanging(2), 0.2))
    study.tell(0, 1.0)
    assert study.trials[0].value == 1.0
    assert len(pauses) == 2
    assert len(warnings) == 1
    assert "no answer" in warnings[0]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_time_that_a_call_hung_is_part_of_the_patience(hanging):
    ticks = iter(range(0, 1000, 15))
    patient = Patient(Bounded(hanging(99), 0.1), "grpc://db:1", 20.0, lambda seconds: None, lambda: next(ticks))
    study = optuna.create_study(storage=patient)
    study.ask()
    with pytest.raises(LossregError, match=r"has not answered for 30 s \(.*no answer"):
        study.tell(0, 1.0)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_beat_without_an_answer_closes_no_connection_but_that_of_the_beats(hanging):
    start, made, closed = hanging(1), [], []

    def connect():
        number, proxy = len(made), start()
        close = proxy.close
        proxy.close = lambda: [closed.append(number), close()]
        made.append(proxy)
        return proxy

    bounded = Bounded(connect, 60.0)
    study = optuna.create_study(storage=bounded)
    first, second = (study.ask()._trial_id for _ in range(2))
    with within(0.1), pytest.raises(TimeoutError, match="no answer within 0 s"):
        bounded.set_trial_state_values(first, TrialState.COMPLETE, [1.0])
    assert closed == [1]
    assert len(made) == 3
    assert bounded.get_trial(second).state == TrialState.RUNNING


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_another_call_that_waits_on_the_closed_connection_is_unanswered_too(hanging):
    bounded = Bounded(hanging(2), 0.3)
    study = optuna.create_study(storage=bounded)
    numbers = [study.ask()._trial_id for _ in range(2)]
    errors = []

    def end(number):
        try:
            bounded.set_trial_state_values(number, TrialState.COMPLETE, [1.0])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=end, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 2
    assert all(map(server.is_unanswered, errors))
