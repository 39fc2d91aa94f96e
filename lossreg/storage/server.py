"""Optuna's storage on a server, PostgreSQL or a gRPC proxy before it: opened, and asked again where it does not answer.

`Patient` is Optuna's storage with every call tried again for a while.
"""

from __future__ import annotations

import abc
import importlib
import logging
import math
import os
import random
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage, get_storage
from optuna.trial import TrialState

from lossreg.errors import InputError, LossregError, UnansweredError, first_line, one_line
from lossreg.storage import address
from lossreg.terminal.masking import masked

# several workers that come at once make the tables of a new database together, and all but one fail at first
TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
SECONDS_TO_CONNECT = 10
# calls of Optuna's storage that the server itself answers; others may be answered from memory
WRITES = ("set_", "create_")
# those about the study itself, which replace what is there
OF_STUDY = "set_study_"
# a process that is to stop waits for no more: Slurm and Kubernetes end it soon
SECONDS_TO_LEAVE = 5.0
# a call that neither fails nor is answered, as of a server that was stopped, is told of after these
SECONDS_UNTIL_TOLD = 20.0
# a call of a gRPC proxy that takes longer counts as unanswered, or than this share of the patience where that is more
SECONDS_TO_ANSWER, SHARE = 60.0, 1 / 3
# of calls that are made `within` fewer
_seconds = ContextVar("seconds", default=math.inf)
# a server that vanished without a word counts as gone after these
CONNECTION = {
    "connect_timeout": SECONDS_TO_CONNECT, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}  # fmt: skip
# libpq's variable for the methods by which it may authenticate
METHODS = "PGREQUIREAUTH"
# what a server says that can be reached and not used, and what would work
REFUSALS = {
    r"authentication method requirement": (
        f"If it is yours, name its method at the end of the address, ?{address.REQUIRE_AUTH}=md5; where it is shown "
        f"the password itself, as with LDAP or PAM, set {METHODS}=password in the environment."
    ),
    r"password authentication failed|no password supplied": (
        f"The password belongs in the address, as ${{{address.PREFIX}PASSWORD}}, in PGPASSWORD or in ~/.pgpass; in the "
        f"address {address.ENCODED}."
    ),
    r"permission denied": "Let its owner run GRANT ALL ON SCHEMA public TO the user, or ALTER DATABASE ... OWNER TO.",
    r'database ".*" does not exist': "Create it, for example with createdb.",
    r'role ".*" does not exist': "Create it, for example with createuser.",
    r"rejects connection|no pg_hba\.conf entry": "Allow it in the server's pg_hba.conf.",
    r'invalid connection option "require_auth"': "It takes libpq 16 or newer: pip install 'lossreg[postgresql]'.",
    r"invalid connection option": "What follows the ? are parameters of libpq, such as connect_timeout or sslmode.",
}
NAMELESS = "The address names no database, which means the one with its user's name"
# of a gRPC proxy whose database does not answer
DATABASE_FAILED = "An exception is raised during the commit"
PIP = {"postgresql": "lossreg[postgresql]", "grpc": "lossreg[grpc]"}


class Forwarding(BaseStorage):  # type: ignore[misc]
    """Optuna's storage that passes every call on to another one, through `_forward`."""

    def __init__(self, inner: BaseStorage) -> None:
        self._inner = inner

    def _forward(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._inner, name)(*args, **kwargs)


def _forwarded(name: str) -> Callable[..., Any]:
    def method(self: Forwarding, *args: Any, **kwargs: Any) -> Any:
        return self._forward(name, *args, **kwargs)

    return method


for _name in (*BaseStorage.__abstractmethods__, "get_best_trial", "get_trial_id_from_study_id_trial_number"):
    setattr(Forwarding, _name, _forwarded(_name))
abc.update_abstractmethods(Forwarding)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Have calls of a gRPC proxy in the block count as unanswered after so many seconds, where that is sooner."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


class Bounded(Forwarding):
    """A gRPC proxy of which each call is answered within `seconds`, or raises `TimeoutError`.

    Optuna's client sets no deadline and has no parameter for one, so a proxy that hangs would block it for ever.
    With a call that gets no answer its connection is closed, which ends what waits on it, and a new one is made.
    Calls that are given less time have a connection of their own.
    """

    def __init__(self, connect: Callable[[], GrpcStorageProxy], seconds: float) -> None:
        super().__init__(connect())
        self._connect, self._seconds = connect, seconds
        self._proxies = {seconds: self._inner}

    def _forward(self, name: str, *args: Any, **kwargs: Any) -> Any:
        answer, seconds = Future[Any](), min(self._seconds, _seconds.get())
        proxy = self._proxies.get(seconds) or self._proxies.setdefault(seconds, self._connect())
        call = partial(getattr(proxy, name), *args, **kwargs)
        # a daemon, which no exit of this process waits for
        threading.Thread(target=_answer, args=(answer, call), name=f"lossreg-{name}", daemon=True).start()
        try:
            return answer.result(seconds)
        except TimeoutError:
            if self._proxies[seconds] is proxy:
                self._proxies[seconds] = self._connect()
                proxy.close()
        except Exception:
            # another thread closed the connection, as its call was not answered
            if self._proxies[seconds] is proxy:
                raise
        raise TimeoutError(f"no answer within {seconds:.0f} s")


def _answer(answer: Future[Any], call: Callable[[], Any]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:
        answer.set_exception(error)


class Patient(Forwarding):
    """Tries every call again while the server does not answer, for `patience` seconds; says so once.

    Raises `UnansweredError` after that, and for further calls at once until one that writes is answered. A process
    that is to stop, or that calls `hurry`, waits for a few seconds alone.

    require_turn: called before each try to write about the study itself; raises `ReplacedError` where others do that.
    """

    def __init__(
        self, inner: BaseStorage, url: str, patience: float, pause: Callable[[float], Any] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(inner)
        self._where, self._given_patience, self._pause, self._now = masked(url), patience, pause, now
        self._is_quiet = self._is_lost = self._is_hurried = False
        self._calls: dict[int, float] = {}
        self._noticed = -math.inf
        self.warn: Callable[[str], Any] = lambda text: None
        self.is_stopping: Callable[[], bool] = lambda: False
        self.require_turn: Callable[[], None] = lambda: None

    def hurry(self) -> None:
        """Give up soon from now on, in calls that are under way too: this process leaves."""
        self._is_hurried = True

    def notice(self) -> None:
        """Warn, from another thread, of a call that gets no answer, once until there are answers again."""
        oldest = min(list(self._calls.values()), default=self._now())
        # a process that was paused in the middle of a call has not noticed it before
        was_noticed, self._noticed = oldest == self._noticed, oldest
        waited = self._now() - oldest
        if waited >= SECONDS_UNTIL_TOLD and was_noticed and not self._is_quiet:
            self._is_quiet = True
            self.warn(f"the storage at {self._where} has not answered a call for {waited:.0f} s: it is waited for")

    @property
    def _patience(self) -> float:
        is_leaving = self._is_hurried or self.is_stopping()
        return min(self._given_patience, SECONDS_TO_LEAVE) if is_leaving else self._given_patience

    def _forward(self, name: str, *args: Any, **kwargs: Any) -> Any:
        began, pause = self._now(), FIRST_PAUSE
        while True:
            if name.startswith(OF_STUDY):
                self.require_turn()
            self._calls[threading.get_ident()] = self._now()
            try:
                answer = super()._forward(name, *args, **kwargs)
            except Exception as error:
                if not is_unanswered(error):
                    raise
                self._complain(error, self._now() - began)
            else:
                if name.startswith(WRITES):
                    self._is_quiet = self._is_lost = False
                return answer
            finally:
                self._calls.pop(threading.get_ident(), None)
            self._pause(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _complain(self, error: Exception, waited: float) -> None:
        reason, patience = _reason(error), self._patience
        if waited >= patience or self._is_lost:
            self._is_lost = True
            raise UnansweredError(
                f"the storage at {self._where} has not answered for {max(waited, patience):.0f} s ({reason}); trials "
                "whose end was written are kept, and other workers, or the next one, run the others again"
            ) from error
        if not self._is_quiet:
            self._is_quiet = True
            self.warn(
                f"the storage at {self._where} does not answer ({reason}); it is asked again for {patience:.0f} s"
            )

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """End or start a trial; one whose end was written although no answer came has ended as it should."""
        try:
            return bool(self._forward("set_trial_state_values", trial_id, state=state, values=values))
        except UpdateFinishedTrialError:
            trial = self._forward("get_trial", trial_id)
            is_as_written = (trial.state, trial.values) == (state, list(values) if values else None)
            if is_as_written and state != TrialState.FAIL:
                return True
            raise


def is_unanswered(error: BaseException) -> bool:
    """Return whether an error says that the server could not be reached, or went away."""
    if isinstance(error, TimeoutError):
        return True
    grpc = sys.modules.get("grpc")
    if grpc is not None and isinstance(error, grpc.RpcError):
        return _is_unanswered_call(error)
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    is_invalid = isinstance(cause, DBAPIError) and cause.connection_invalidated
    # the last where Optuna goes on in a transaction whose connection was lost
    return is_invalid or isinstance(cause, (OperationalError, InterfaceError, PendingRollbackError))


def _reason(error: BaseException) -> str:
    """Return the first line of what the driver says, without the statement that SQLAlchemy adds."""
    cause = error.__cause__ or error
    # a gRPC error
    if details := getattr(cause, "details", None):
        cause = ConnectionError(details())
    return first_line(getattr(cause, "orig", None) or cause)


def _is_unanswered_call(error: Any) -> bool:
    code = error.code().name if hasattr(error, "code") else ""
    return code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") or (code == "UNKNOWN" and DATABASE_FAILED in error.details())


def connect(url: str, patience: float = 0.0) -> BaseStorage:
    """Return the storage at an address; patience: seconds for which a caller asks again.

    Raises `InputError` where its driver is not installed, `LossregError` where nothing answers.
    """
    kind = address.kind(url)
    # failures are reported here, without their SQL
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return _grpc(url, max(SECONDS_TO_ANSWER, SHARE * patience)) if kind == address.GRPC else _postgresql(url)
    except ImportError as error:
        hint = f"pip install '{PIP[kind]}', and write postgresql+psycopg://" if kind in PIP else ""
        what = f"the driver of {masked(url)} is not installed ({one_line(error)})"
        raise InputError(what, where="storage.url", hint=f"{hint}.") from None
    except (LossregError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _unusable(url, error) from None


def _unusable(url: str, error: Exception) -> LossregError:
    """Return the error for a storage that could not be opened."""
    where, reason = masked(url), _reason(error)
    if hint := next((hint for pattern, hint in REFUSALS.items() if re.search(pattern, reason)), ""):
        nameless = f" {NAMELESS}." if "database" in reason and _names_no_database(url) else ""
        what = f"the storage at {where} cannot be used ({reason})"
        return InputError(what, where="storage.url", hint=f"{hint}{nameless}")
    if is_unanswered(error):
        return LossregError(
            f"the storage at {where} does not answer ({reason}): look whether it runs, at host and port"
        )
    return LossregError(f"the storage at {where} cannot be used ({reason})")


def _names_no_database(url: str) -> bool:
    from sqlalchemy.engine import make_url

    return address.kind(url) == address.POSTGRESQL and not make_url(url).database


def _postgresql(url: str) -> BaseStorage:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        given = make_url(url).query
        make_url(url).get_dialect()
    except (ArgumentError, ValueError) as error:
        hint = address.MEANT if isinstance(error, NoSuchModuleError) else f"For example {address.EXAMPLES}."
        what = f"{masked(url)} is no address of a database ({one_line(error)})"
        raise InputError(what, where="storage.url", hint=hint) from None
    # Optuna's warnings of a lost connection have the whole statement
    logging.getLogger("optuna.storages").setLevel(logging.ERROR)
    settings = {name: value for name, value in _defaults().items() if name not in given}
    for tries_left in reversed(range(TRIES)):
        try:
            return get_storage(RDBStorage(url, engine_kwargs={"pool_pre_ping": True, "connect_args": settings}))
        except Exception as error:
            # RuntimeError: the tables are of another version of Optuna
            if not tries_left or is_unanswered(error) or isinstance(error, (ImportError, RuntimeError)):
                raise
            time.sleep(random.random())
    raise AssertionError("unreachable")


def _defaults() -> dict[str, Any]:
    """Return the parameters of a connection that an address need not name."""
    methods = {} if METHODS in os.environ else {address.REQUIRE_AUTH: ",".join(address.KEEPS_PASSWORD)}
    return {**CONNECTION, **methods}


def _grpc(url: str, seconds: float) -> BaseStorage:
    importlib.import_module("grpc")
    host, port = address.host_and_port(url)
    with closing(_proxy(host, port)) as proxy:
        try:
            proxy.wait_server_ready(timeout=SECONDS_TO_CONNECT)
        except ConnectionError:
            raise TimeoutError(f"no answer within {SECONDS_TO_CONNECT} s") from None
    return Bounded(partial(_proxy, host, port), seconds)


def _proxy(host: str, port: int) -> GrpcStorageProxy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GrpcStorageProxy(host=host, port=port)
