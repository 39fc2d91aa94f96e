"""A planted secret, every way in which a server can fail, and then a search of all that was written or printed."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import shutil
from pathlib import Path
from urllib.parse import quote, quote_plus

import commands
import failing_servers as failing
import pytest
import sample_study as sample
from fake_trainer import Fake
from inline import Inline
from searches import curve

import lossreg
from lossreg.config import study as studies
from lossreg.errors import InputError, LossregError
from lossreg.reporting import progress
from lossreg.storage.study_folder import ATTRIBUTE, StudyFolder
from lossreg.terminal import masking
from lossreg.tracking import Tracker, tracker

SECRET = "pl-nt1dw/Key&pt@8qz5"
# a piece of it is as bad; shorter ones stand in the bytes of a database by chance
PIECES = ("nt1dw", "Key&pt", "pt@8qz5")
SPELLED = {
    spelled
    for piece in (SECRET, *PIECES)
    for spelled in (piece, quote(piece, safe=""), json.dumps(piece)[1:-1], piece.replace("&", "&amp;"))
} | {base64.b64encode(f"me:{SECRET}".encode()).decode().rstrip("=")}
STUDY = {
    "name": "toy",
    "data": {"source": "sklearn:iris"},
    "losses": {"cross_entropy": {}, "focal": {}},
    "train": {"epochs": 2},
    "search": {"trials": 3, "metric": "accuracy", "lanes": 1},
}
TOML = """
name = "toy"
data.source = "sklearn:iris"
train.epochs = 2
search = {trials = 3, metric = "accuracy", lanes = 1}
losses = {cross_entropy = {}, focal = {}}
tracking.uri = URI
"""


def leaks(*texts):
    """Return the texts that contain the secret, of those given, and in the files below the current folder."""
    files = {str(path): path.read_bytes().decode("latin-1") for path in Path().rglob("*") if path.is_file()}
    texts = {f"text {number}": text for number, text in enumerate(texts)} | files
    return [(name, text) for name, text in texts.items() if any(spelled in text for spelled in SPELLED)]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a study that was run, and tracked nowhere."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = lossreg.tune(
            {**STUDY, "tracking": {"enabled": False}, "verdict": {"enabled": False}}, trainers=[Fake(curve)]
        )
        assert len(result.trials) == 3
    return folder / ".lossreg"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder; MLflow's patience is short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(tracker, "Process", Inline)
    monkeypatch.setattr("lossreg.tracking.uri.PATIENCE", 0.3)
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in {"TIMEOUT": "1", "MAX_RETRIES": "0", "BACKOFF_FACTOR": "0"}.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    monkeypatch.setenv("LOSSREG_DEBUG", "1")
    with masking.fresh():
        yield tmp_path
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def command(capfd, monkeypatch):
    """Run the command in this process: exit code, and all that it printed."""
    run = commands.runner(monkeypatch, capfd)

    def printed(*args):
        code, out, err = run(*args)
        return code, out + err

    return printed


@contextlib.contextmanager
def port_of(trouble):
    """A port where a server has that trouble."""
    talks = {
        "closes at once": failing.closes_at_once,
        "closes half-way": failing.closes_half_way,
        "is another kind": failing.talks_of_something_else,
        "refuses the password": failing.refuses_the_password,
        "never answers": lambda connection: connection.recv(65536) and connection.recv(65536),
    }
    with contextlib.ExitStack() as stack:
        if trouble in talks:
            yield stack.enter_context(failing.answering(talks[trouble]))
        elif trouble.isdigit():
            back = f"http://me:{quote(SECRET, safe='')}@127.0.0.1:{failing.closed_port()}/x"
            yield stack.enter_context(failing.web(int(trouble), back if trouble == "302" else ""))
        else:
            yield failing.closed_port()


HTTP = [
    "refuses",
    "closes at once",
    "closes half-way",
    "is another kind",
    "never answers",
    "401",
    "403",
    "404",
    "500",
    "302",
]
TROUBLES = [
    *[("http://me:{}@127.0.0.1:PORT", trouble) for trouble in HTTP],
    ("http://{}@127.0.0.1:PORT", "401"),
    ("http://{}:@127.0.0.1:PORT/base", "500"),
    ("https://me:{}@127.0.0.1:PORT", "500"),
    ("https://me:{}@127.0.0.1:PORT", "is another kind"),
    ("postgresql+psycopg://me:{}@127.0.0.1:PORT/db", "refuses"),
    ("postgresql+psycopg://me:{}@127.0.0.1:PORT/db", "closes at once"),
    ("postgresql+psycopg://me:{}@127.0.0.1:PORT/db", "refuses the password"),
    ("postgresql+psycopg://127.0.0.1:PORT/db?user=me&password={}", "refuses the password"),
]  # fmt: skip
# a redirection that has the secret, a token, a broken encryption, a secret in the query
QUICK = {(TROUBLES[0][0], "302"), TROUBLES[10], TROUBLES[13], TROUBLES[17]}


@pytest.mark.parametrize(
    ("form", "trouble"),
    [pytest.param(*case, id=f"{case[0][:6]} {case[1]}", marks=() if case in QUICK else pytest.mark.long)
     for case in TROUBLES],
)  # fmt: skip
def test_a_server_that_fails_gives_no_secret_away(folder, begun, command, form, trouble):
    shutil.copytree(begun, folder / ".lossreg")
    with port_of(trouble) as port:
        address = form.format(quote(SECRET, safe="")).replace("PORT", str(port))
        Path("toy.toml").write_text(TOML.replace("URI", json.dumps(address)))
        code, printed = command("sync", "toy.toml")
    Path("toy.toml").unlink()
    assert code == 1, printed
    assert "tracking failed" in printed
    assert "(unexpected;" not in printed
    assert leaks(printed) == []


@pytest.mark.parametrize(
    "variable", ["MLFLOW_TRACKING_PASSWORD", pytest.param("MLFLOW_TRACKING_TOKEN", marks=pytest.mark.long)]
)
def test_secrets_that_come_by_the_environment_are_kept_too(folder, begun, command, monkeypatch, variable):
    shutil.copytree(begun, folder / ".lossreg")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv(variable, SECRET)
    with failing.web(500) as port:
        code, printed = command(*toml_with("http://127.0.0.1:PORT", port))
    assert code == 1
    assert leaks(printed) == []


def toml_with(form, port):
    """Arguments of a sync of the study that is tracked there."""
    Path("toy.toml").write_text(TOML.replace("URI", json.dumps(form.replace("PORT", str(port)))))
    return "sync", "toy.toml"


WRONG = [
    "http://me:{}@", "http://me:{}@host:port", "http://[me:{}@h", "me:{}@host/db", "htps://me:{}@host", "htps://{}@host",
    "http://me:{}@a host", "postgresql+psycopg://me:{}@h:port/d", "mysql+nodriver://me:{}@h/d",
    "mssql+pyodbc://me:{}@h/d", "s3://k:{}@bucket", "sqlite://me:{}@h", "file://me:{}@h/x", "oracle://h?password={}",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{}",
]  # fmt: skip


@pytest.mark.parametrize("form", WRONG)
@pytest.mark.parametrize("spell", [str, quote_plus], ids=["plain", "quoted"])
def test_a_wrong_address_is_refused_without_its_secret(folder, command, form, spell):
    # in a parameter, what follows a & is another parameter
    address = form.format(quote_plus(SECRET) if "={}" in form or "3D{}" in form else spell(SECRET))
    Path("toy.toml").write_text(TOML.replace("URI", json.dumps(address)))
    outcomes = [command("tune", "toy.toml"), command("sync", "toy.toml", "--set", f"tracking.uri={address}")]
    outcomes.append(command("ui", "toy.toml", "--set", f"tracking.uri={address}"))
    outcomes.append(command("tune", "toy.toml", "--set", f"tracking={address}"))
    Path("toy.toml").write_text(TOML.replace("URI", f'"{address}'))
    outcomes.append(command("tune", "toy.toml"))
    Path("toy.toml").unlink()
    assert [code for code, _ in outcomes] == [2] * 5
    assert leaks(*(printed for _, printed in outcomes)) == []
    assert list(folder.iterdir()) == []


MALICE = [
    {"tracking": {"uri": "http://me:SECRET@h", "url": "x"}}, {"tracking": "http://me:SECRET@h"},
    {"tracking": {"uri": ["x://m:SECRET@h"]}},
    {"tracking": {"uri": "http://me:SECRET@h:port"}}, {"tracking": {"uri": "x://me:SECRET@h"}},
    {"http://me:SECRET@h": {}},
]  # fmt: skip


@pytest.mark.parametrize("sections", MALICE, ids=range(len(MALICE)))
def test_a_python_caller_s_mistakes_are_told_without_secrets(folder, sections):
    document = json.loads(json.dumps({**STUDY, **sections}).replace("SECRET", quote(SECRET, safe="")))
    with pytest.raises(InputError) as refused:
        lossreg.tune(document)
    assert leaks(str(refused.value), repr(refused.value), repr(refused.value.args)) == []


def test_a_study_prints_without_its_secret(folder):
    spec = studies.from_dict({**STUDY, "tracking": {"uri": f"http://me:{quote(SECRET, safe='')}@host"}})
    assert leaks(repr(spec), str(spec), json.dumps(spec.document()), json.dumps(studies.fingerprint(spec))) == []
    assert "me:***@host" in repr(spec)
    assert SECRET in spec.tracking.uri.replace("%2F", "/").replace("%26", "&").replace("%40", "@"), "and still knows it"


def test_a_study_at_a_failing_server_runs_resumes_and_leaves_no_secret(folder, command, capfd):
    """Another password is no other study."""
    uri = "http://me:{}@127.0.0.1:{}/x"
    printed = []
    with failing.web(500) as port:
        for password, trials in ((quote(SECRET, safe=""), 3), (f"new-{quote(SECRET, safe='')}", 4)):
            document = {**STUDY, "tracking": {"uri": uri.format(password, port)}}
            document["search"] = {**STUDY["search"], "trials": trials}
            result = lossreg.tune(document, trainers=[Fake(curve)], progress=progress.Lines())
            assert len(result.trials) == trials
            printed += [
                repr(result),
                json.dumps(result.to_json()),
                str(result.tracking),
                repr(lossreg.results(document)),
            ]
        with pytest.raises(LossregError) as refused:
            lossreg.tune(document, trainers=[Fake(curve)], require_tracking=True)
        printed += [str(refused.value), repr(refused.value)]
        toml_with(uri.format(quote(SECRET, safe=""), "PORT"), port)
        printed += [command("results", "toy.toml")[1], command("results", "toy.toml", "--json")[1]]
    printed += capfd.readouterr()
    assert "resuming: 3 of 4" in "".join(printed)
    Path("toy.toml").unlink()
    assert leaks(*printed) == []
    kept = StudyFolder(Path(".lossreg/toy"), "toy").read().user_attrs[ATTRIBUTE]
    assert kept["spec"]["tracking"]["uri"] == f"http://me:***@127.0.0.1:{port}/x"


def command_lines_of_children():
    """Of the processes that this one started."""
    lines = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if f"\nPPid:\t{os.getpid()}\n" in (place / "status").read_text():
                lines.append((place / "cmdline").read_bytes().decode(errors="replace"))
    return lines


@pytest.mark.long
def test_a_store_that_works_and_the_process_that_writes_it_show_no_secret(folder, monkeypatch):
    """A study of which every text has the address in it, as exceptions of users' code may have."""
    address = f"http://me:{quote(SECRET, safe='')}@host"
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    told = f"could not connect to {address}, password was {SECRET}"
    result = sample.study(
        3, spec={"tracking": {"uri": address}, "model": {"args": {"db": told}}}, notes=[told],
        data={"name": told, "source": address, "classes": {told: 2}}, tracking={"uri": address},
    )  # fmt: skip
    result.trials[1] = sample.trial(1, state="failed", reason=told, version=told)
    warnings = []
    learning = Tracker(address, "x")  # as a study learns the secrets of its address
    writing = Tracker(f"sqlite:///{folder / 'mlflow.db'}", "x", warn=warnings.append)
    writing.start(result)
    writing.where()
    lines = command_lines_of_children()
    writing.finish(result)
    learning.close()
    assert (warnings, writing.error) == ([], "")
    assert any("worker.main()" in line for line in lines)
    assert (folder / "mlflow.db").stat().st_size
    assert len(list(folder.rglob("report.md"))) == 1
    assert b"could not connect to http://me:***@host" in (folder / "mlflow.db").read_bytes()
    assert leaks(*lines) == []
