"""`lossreg repair`: journals damaged in every way are read again, and trials that were not hit are as they were."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import optuna
import pytest
from fake_trainer import Fake
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from searches import curve, loop, optuna_study
from typer.testing import CliRunner

from lossreg import cli
from lossreg.errors import InputError
from lossreg.search import history
from lossreg.search.repairs import lines_of, repair, repaired
from lossreg.storage.journal import Journal
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE

ABOUT = {
    "id": "k", "metric": "accuracy", "direction": "maximize", "task": "multiclass", "baseline": "cross_entropy",
    "losses": {name: name for name in ("cross_entropy", "focal", "mixed")}, "data": {}, "spec": {}, "fingerprint": {},
    "provenance": {}, "spaces": {}, "seconds": {},
}  # fmt: skip
TRIALS = 26


def run(path, *counts, crash=False):
    """A study run in as many sessions as there are counts, each to so many trials."""
    for count in counts:
        study = optuna_study(JournalStorage(Journal(path)))
        if ATTRIBUTE not in study.user_attrs:
            study.set_user_attr(ATTRIBUTE, ABOUT)
        loop(study, count, Fake(curve, slots=4)).run()
        study.set_user_attr(ATTRIBUTE, {**ABOUT, "seconds": {"total": float(count)}})


def opened(path):
    return optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))


def records(path):
    return {record.number: record for record in history.records(opened(path))}


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """The lines of a study's journal, and the trials that it tells of."""
    path = tmp_path_factory.mktemp("sound") / "journal.log"
    run(path, 11, TRIALS)
    return path.read_bytes().split(b"\n")[:-1], records(path)


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """The lines of another study's journal."""
    path = tmp_path_factory.mktemp("strange") / "journal.log"
    run(path, 14)
    return path.read_bytes().split(b"\n")[:-1]


# Each takes the lines, a place in them and a random source; the places that were hit come back.


def flipped(lines, at, rng, strange):
    damaged = bytearray(lines[at])
    for _ in range(rng.choice((1, 1, 4))):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    lines[at : at + 1] = bytes(damaged).split(b"\n")
    return {at}


def deleted(lines, at, rng, strange):
    del lines[at]
    return {at}


def doubled(lines, at, rng, strange):
    lines.insert(at, lines[at])
    return set()


def copied(lines, at, rng, strange):
    lines.insert(rng.randrange(len(lines)), lines[at])
    return set()


def cut_out(lines, at, rng, strange):
    to = min(len(lines) - 1, at + rng.randint(1, 4))
    lines[at : to + 1] = [lines[at][: rng.randrange(len(lines[at]))] + lines[to][rng.randrange(len(lines[to])) :]]
    return set(range(at, to + 1))


def several_deleted(lines, at, rng, strange):
    to = min(len(lines) - 1, at + rng.randint(1, 9))
    del lines[at:to]
    return set(range(at, to))


def mixed(lines, at, rng, strange):
    lines.insert(at, rng.choice(strange))
    return set()


def garbled(lines, at, rng, strange):
    lines.insert(at, rng.randbytes(rng.randint(1, 200)).replace(b"\n", b""))
    return set()


def exchanged(lines, at, rng, strange):
    other = rng.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]
    return {at, other}


def joined(lines, at, rng, strange):
    at = min(at, len(lines) - 2)
    lines[at : at + 2] = [lines[at] + lines[at + 1]]
    return {at, at + 1}


def nulled(lines, at, rng, strange):
    lines[at] = bytes(len(lines[at]))
    return {at}


def cut_off(lines, at, rng, strange):
    lines[at] = lines[at][:40]
    return {at}


DAMAGES = (
    flipped, deleted, doubled, copied, cut_out, several_deleted, mixed, garbled, exchanged, joined, nulled, cut_off,
)  # fmt: skip
QUICK = {flipped, cut_out, several_deleted, mixed, garbled, nulled}


def trials_at(lines, places):
    """The trials that the lines at these places are about."""
    hit, created = set(), -1
    for place, line in enumerate(map(json.loads, lines)):
        created += line["op_code"] == 4
        if place in places:
            hit.add(created if line["op_code"] == 4 else line.get("trial_id"))
    return hit


@pytest.mark.parametrize(
    "damage",
    [damage if damage in QUICK else pytest.param(damage, marks=pytest.mark.long) for damage in DAMAGES],
)
def test_after_a_repair_every_other_trial_is_as_it_was_and_the_study_goes_on(damage, journal, strange, tmp_path):
    sound, before = journal
    path = tmp_path / "journal.log"
    for seed in range(12):
        rng, lines = random.Random(seed), list(sound)
        hit = trials_at(sound, damage(lines, rng.randrange(len(lines)), rng, strange))
        path.write_bytes(b"\n".join(lines) + b"\n")
        done = repaired(path.read_bytes(), "s")
        path.write_bytes(done.text)
        again = repaired(done.text, "s")
        assert (again.is_whole, again.text) == (True, done.text), seed
        after = records(path)
        assert {number: after.get(number) for number in before if number not in hit} == {
            number: record for number, record in before.items() if number not in hit
        }, seed
    run(path, TRIALS + 2)
    assert sum(record.state == "complete" for record in records(path).values()) == TRIALS + 2


def test_a_lost_creation_renumbers_nothing(journal, tmp_path):
    sound, before = journal
    for at in [at for at, line in enumerate(sound) if json.loads(line)["op_code"] == 4][:: TRIALS // 6]:
        done = repaired(b"\n".join([*sound[:at], b'{"op_co', *sound[at + 1 :]]) + b"\n", "s")
        (tmp_path / "journal.log").write_bytes(done.text)
        assert records(tmp_path / "journal.log") == before
        assert len(done.affected) == 1


def ends(lines):
    """The places of the lines that end trials, by trial."""
    logs = [(place, json.loads(line)) for place, line in enumerate(lines)]
    return {log["trial_id"]: place for place, log in logs if log["op_code"] == 6 and log.get("datetime_complete")}


@pytest.mark.parametrize(
    "spoilt", [lambda line: line[:40], lambda line: bytes(len(line)), None], ids=("cut off", "nulled", "deleted")
)
def test_an_end_that_is_lost_is_restored_from_the_record_of_its_trial(spoilt, journal, tmp_path):
    sound, before = journal
    for number in (2, TRIALS // 2, TRIALS - 1):
        at = ends(sound)[number]
        lines = [*sound[:at], *([spoilt(sound[at])] if spoilt else []), *sound[at + 1 :]]
        done = repaired(b"\n".join(lines) + b"\n", "s")
        assert done.affected == {number: "the line that ended it is lost; its end is restored from its record"}
        (tmp_path / "journal.log").write_bytes(done.text)
        assert records(tmp_path / "journal.log") == before
        old, new = json.loads(sound[at]), json.loads(done.text.split(b"\n")[-2])
        assert {key: new[key] for key in ("trial_id", "state", "values")} == {
            key: old[key] for key in ("trial_id", "state", "values")
        }


def test_a_trial_that_lost_its_record_is_run_again(journal, tmp_path):
    sound, before = journal
    record = f'"user_attr":{{"{ATTRIBUTE}":'.encode()
    at = next(at for at, line in enumerate(sound) if b'"trial_id":7' in line and record in line)
    done = repaired(b"\n".join([*sound[:at], b"\0\0", *sound[at + 1 :]]) + b"\n", "s")
    assert done.affected == {7: "its record is lost, so it is run again"}
    path = tmp_path / "journal.log"
    path.write_bytes(done.text)
    run(path, TRIALS)
    again = records(path)
    rerun, lost = again.pop(7), before[7]
    assert again == {number: record for number, record in before.items() if number != 7}
    assert (rerun.candidate, rerun.params) == (lost.candidate, lost.params)


# ------------------------------------------------------------------------ the command


STUDY = '[data]\nsource = "sklearn:iris"\n[tracking]\nenabled = false\n'


@pytest.fixture
def store(tmp_path, monkeypatch, journal):
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(STUDY)
    store = StudyFolder(Path(".lossreg/s"), "s")
    with store.lock():
        store.journal.write_bytes(b"\n".join(journal[0]) + b"\n")
    for number in (3, 12):
        store.weights.save(number, [np.arange(4.0), np.ones((2, 2))])
    return store


def lossreg(*args):
    done = CliRunner().invoke(cli.app, [str(arg) for arg in args])
    return done.exit_code, done.stdout, done.stderr.removeprefix("study s: starting\n")


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_whole_study_is_said_to_be_whole_and_left_alone(store):
    before = files(Path())
    assert lossreg("repair", "s.toml") == (0, "study s is whole: nothing was written\n", "")
    assert files(Path()) == before


def test_the_damaged_journal_is_kept_and_its_message_names_the_way_out(store, journal):
    damaged = b"\n".join([*journal[0][:60], b"\xff\xfe", *journal[0][61:]]) + b"\n"
    store.journal.write_bytes(damaged)
    code, _, err = lossreg("results", "s.toml")
    assert code == 2
    assert "journal.log: this journal is damaged" in err
    assert "lossreg repair" in err
    code, out, _ = lossreg("repair", "s.toml")
    assert code == 0
    assert "line 61 of the journal is left out: it cannot be read" in out
    assert "lossreg tune s.toml" in out
    [aside] = store.path.glob("damaged-*")
    assert (aside / "journal.log").read_bytes() == damaged
    assert lossreg("results", "s.toml")[0] == 0
    assert "is whole" in lossreg("repair", "s.toml")[1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\0", b"x" * 300])
def test_damaged_weights_are_named_and_moved_aside(store, content):
    path = store.path / "weights-000012.npz"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"weights-000012.npz: this file of weights is damaged .*lossreg\.repair\(study\)"
    ):
        store.weights.load(12)
    (store.path / "best.keras").write_bytes(b"half a model")
    (store.path / "best.trial").write_bytes(b"\xff")
    out = lossreg("repair", "s.toml")[1]
    assert "weights-000012.npz is damaged and was moved aside, so trial 12 has no model" in out
    assert "best.keras is damaged and was moved aside" in out
    assert store.weights.numbers == [3]
    [aside] = store.path.glob("damaged-*")
    assert (aside / "weights-000012.npz").read_bytes() == content
    assert "is whole" in lossreg("repair", "s.toml")[1]


def test_a_flipped_bit_in_weights_is_found(store):
    path = store.path / "weights-000003.npz"
    content = bytearray(path.read_bytes())
    content[content.index(np.arange(4.0).tobytes()) + 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="weights-000003"):
        store.weights.load(3)


@pytest.mark.parametrize("line", [b"\xff\n", b'{"op_code":4,"wor\n', b"[]\n", b'{"op_code":"4"}\n'])
def test_a_damaged_journal_is_said_before_keras_is_imported_and_fresh_goes_on(store, line, monkeypatch):
    monkeypatch.setattr(cli.studies, "import_keras", lambda: (_ for _ in ()).throw(InputError("Keras is imported")))
    with store.journal.open("ab") as file:
        file.write(line)
    code, _, err = lossreg("tune", "s.toml")
    assert (code, err.count("\n")) == (2, 1)
    assert "journal.log: this journal is damaged" in err
    assert "lossreg repair s.toml" in err
    assert "Keras is imported" in lossreg("tune", "s.toml", "--fresh")[2]


def test_a_study_that_is_run_is_not_repaired(store):
    with store.lock():
        code, _, err = lossreg("repair", "s.toml")
    assert code == 2
    assert "is being run by another process" in err


def test_what_the_study_began_with_may_be_lost(store, journal):
    about = [line for line in journal[0] if json.loads(line)["op_code"] == 2]
    store.journal.write_bytes(b"\n".join(line for line in journal[0] if line not in about) + b"\n")
    report = repair("s.toml")
    assert report.journal.lost_start
    assert any("what the study began with is lost" in line for line in lines_of(report, "s.toml"))


# ------------------------------------------------------------------------ journals of another shape

SHAPES = {
    "a list": b"[]\n",
    "a number": b"3\n",
    "null": b"null\n",
    "no op code": b"{}\n",
    "an op code of text": b'{"op_code":"0"}\n',
    "an op code that there is not": b'{"op_code":77,"worker_id":"w-1"}\n',
    "a study without a name": b'{"op_code":0,"worker_id":"w-1"}\n',
    "directions that are none": b'{"op_code":0,"worker_id":"w-1","study_name":"s","directions":[9]}\n',
    "nested deeply": b"[" * 5000 + b"\n",
    "binary": bytes(range(256)) + b"\n",
    "JSON of another program": b'{"level":"info","message":"started"}\n{"level":"info","message":"ended"}\n',
    "no trial of that number": b'{"op_code":6,"worker_id":"w-1","trial_id":"x","state":1}\n',
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("command", ["results", "repair", "model"])
def test_a_journal_of_another_shape_is_one_message(store, shape, command):
    store.journal.write_bytes(SHAPES[shape] * 2)
    before = files(Path())
    code, out, err = lossreg(command, "s.toml")
    assert (code, out) == (2, "")
    assert err.startswith("Error: .lossreg/s")
    assert "(unexpected" not in err
    assert err.count("\n") == 1
    assert files(Path()) == before


@pytest.mark.parametrize("command", ["results", "repair", "model", "tune"])
def test_a_journal_that_is_a_folder_is_said_in_words(store, command):
    store.journal.unlink()
    store.journal.mkdir()
    before = files(Path())
    code, out, err = lossreg(command, "s.toml")
    assert (code, out) == (2, "")
    assert err.startswith("Error: .lossreg/s/journal.log: is a folder, and the study's journal belongs there")
    assert files(Path()) == before


def test_a_folder_in_place_of_the_journal_is_moved_aside_for_a_fresh_start(store):
    store.journal.unlink()
    store.journal.mkdir()
    aside = store.archive()
    assert aside is not None
    assert (aside / "journal.log").is_dir()
    assert not store.exists


@pytest.mark.parametrize("attributes", [None, {"lossreg": 3}, {"lossreg": []}, {"other": 1}])
@pytest.mark.parametrize("name", ["s", "other"])
def test_a_study_of_another_program_is_not_taken_over(store, attributes, name, monkeypatch):
    monkeypatch.setattr(cli.studies, "import_keras", lambda: None)
    store.journal.unlink()
    storage = JournalStorage(JournalFileBackend(str(store.journal)))
    study = optuna.create_study(study_name=name, storage=storage)
    for key, value in (attributes or {}).items():
        study.set_user_attr(key, value)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    before = store.journal.read_bytes()
    for command in ("results", "model", "tune"):
        code, _, err = lossreg(command, "s.toml")
        assert code == 2
        assert "this journal is not this study's" in err
    assert store.journal.read_bytes() == before


def test_a_trial_that_lost_a_parameter_is_marked_as_failed(journal, tmp_path):
    sound, before = journal
    at = next(at for at, line in enumerate(sound) if b'"trial_id":16' in line and b'"learning_rate"' in line)
    done = repaired(b"\n".join([*sound[:at], *sound[at + 1 :]]) + b"\n", "s")
    assert done.affected == {16: "its parameter learning_rate is lost, so it is marked as failed"}
    (tmp_path / "journal.log").write_bytes(done.text)
    assert opened(tmp_path / "journal.log").trials[16].state == optuna.trial.TrialState.FAIL
    assert records(tmp_path / "journal.log") == {n: record for n, record in before.items() if n != 16}


# ------------------------------------------------------------------------ weights under another trial's name


def test_weights_under_another_trial_s_name_are_refused_and_moved_aside(store):
    mine, other = (store.path / f"weights-{number:06d}.npz" for number in (3, 12))
    content = mine.read_bytes()
    mine.replace(store.path / "t")
    other.replace(mine)
    (store.path / "t").replace(other)
    with pytest.raises(
        InputError, match=r"weights-000012.npz: this file holds the weights of trial 3, not of trial 12"
    ):
        store.weights.load(12)
    out = lossreg("repair", "s.toml")[1]
    assert "weights-000003.npz" in out
    assert "so trial 3 has no model" in out
    assert store.weights.numbers == []
    [aside] = store.path.glob("damaged-*")
    assert (aside / "weights-000012.npz").read_bytes() == content
    assert "is whole" in lossreg("repair", "s.toml")[1]


def test_weights_of_an_archive_without_a_number_are_loaded(store):
    kept = [np.arange(4.0), np.ones((2, 2))]
    np.savez(store.path / "weights-000012.npz", w0000=kept[0], w0001=kept[1])
    for number in (3, 12):
        loaded = store.weights.load(number)
        assert [weight.tolist() for weight in loaded] == [weight.tolist() for weight in kept]
    assert "is whole" in lossreg("repair", "s.toml")[1]
