"""What safe mode does not take from a study, and what of it is the user's own."""

from __future__ import annotations

from pathlib import Path

import commands
import pytest

import lossreg
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.runtime.safety import safe_mode
from lossreg.storage import server

GOOD = {"name": "toy", "data": {"source": "rows.csv"}, "losses": {"focal": {}}}
CODE = {
    "data.source": {"data": {"source": "evil.py:rows"}},
    "model.build": {"model": {"build": "evil.models:build"}},
    "train.callbacks": {"train": {"callbacks": "evil.py:make_callbacks"}},
    "search.metric": {"search": {"metric": "evil.py:profit", "direction": "maximize"}},
    "losses.mine.function": {"losses": {"mine": {"function": "evil.py:loss"}}},
}
ADDRESSES = {
    "tracking.uri": ["http://evil.example", "sqlite:///profile", "postgresql://evil.example/db"],
    "storage.url": ["postgresql+psycopg://evil.example/db", "grpc://evil.example:13000"],
}
PLACES = [(*key.split("."), address) for key, addresses in ADDRESSES.items() for address in addresses]


def require(study, **kwargs):
    with safe_mode():
        studies.require_trusted(study, **kwargs)


@pytest.mark.parametrize(("key", "change"), CODE.items(), ids=CODE)
def test_code_is_refused_where_a_study_is_run_and_only_in_safe_mode(key, change):
    study = studies.from_dict({**GOOD, **change})
    with pytest.raises(InputError, match=rf"^{key}: evil[\w.]*:\w+ names code, which safe mode does not run"):
        require(study)
    require(study, is_run=False)
    studies.require_trusted(study)


@pytest.mark.parametrize(
    "change",
    [
        {}, {"data": {"source": "sklearn:make_moons?n_samples=50"}}, {"data": {"source": "../x.parquet"}},
        {"tracking": {"enabled": False}}, {"model": {"hidden": [3]}},
    ],
)  # fmt: skip
def test_a_study_of_files_and_built_in_losses_is_taken(change):
    require(studies.from_dict({**GOOD, **change}))


def test_a_function_that_the_caller_gives_is_the_caller_s_own():
    def mine(y_true, y_pred):
        raise AssertionError

    require(studies.from_dict({**GOOD, "losses": {"mine": {"function": mine}}}))


@pytest.mark.parametrize(("section", "name", "address"), PLACES)
@pytest.mark.parametrize("is_run", [True, False])
def test_an_address_is_refused_unless_the_user_gives_it(section, name, address, is_run):
    document = {**GOOD, section: {name: address}}
    with pytest.raises(InputError, match=rf"{section}\.{name}: is an address that only the study file names") as error:
        require(studies.from_dict(document), is_run=is_run)
    assert f'Give it yourself: as an override: "{section}.{name}=...", or ' in str(error.value)
    for start in (GOOD, document):
        own = studies.from_dict(start, [f"{section}.{name}={address}"])
        require(own, is_run=is_run)
        # further overrides leave it the user's own
        require(studies.of(own, ["search.trials=3"]), is_run=is_run)


def test_an_override_of_another_key_makes_the_address_nobody_s_own():
    study = studies.from_dict({**GOOD, "tracking": {"uri": "http://evil.example"}}, ["tracking.model=false"])
    with pytest.raises(InputError, match="only the study file names"):
        require(study)


@pytest.mark.parametrize("work", [lossreg.results, lossreg.tune, lossreg.load_trial, lossreg.repair])
def test_no_shared_storage_that_only_the_study_names_is_looked_at(work, monkeypatch):
    monkeypatch.setattr(server, "connect", lambda url: pytest.fail(f"{url} was connected to"))
    document = {**GOOD, "storage": {"url": "grpc://evil.example:13000"}}
    with safe_mode(), pytest.raises(InputError, match=r"storage\.url: is an address that only the study file names"):
        work(document)


def test_an_address_that_comes_from_the_environment_as_a_whole_is_the_user_s_own():
    for url in ("${LOSSREG_STORAGE}?host=evil.example", "postgresql://${LOSSREG_USER}@evil.example/db"):
        with pytest.raises(InputError, match="only the study file names"):
            require(studies.from_dict({**GOOD, "storage": {"url": url}}))
    own = studies.from_dict({**GOOD, "storage": {"url": "${LOSSREG_STORAGE}"}})
    require(own)
    with safe_mode():
        assert own.storage_url == "${LOSSREG_STORAGE}"


HINTS = {
    True: 'Give it yourself: --set storage.url=..., or have it come from your environment, url = "${LOSSREG_STORAGE}"',
    False: 'Give it yourself: have it come from your environment, url = "${LOSSREG_STORAGE}" in the study file.',
}


@pytest.mark.parametrize(
    "command", ["results", "report", "watch", "model", "repair", "tune", "worker", "verdict", "sync", "ui"]
)
def test_the_hint_names_only_what_the_command_has(command, tmp_path, monkeypatch, capfd):
    file = tmp_path / "toy.toml"
    file.write_text('data.source = "sklearn:iris"\nstorage.url = "grpc://evil.example:13000"\n')
    run = commands.runner(monkeypatch, capfd)
    _, out, _ = run(command, "--help")
    code, _, err = run(command, file, "--safe")
    assert code == 2
    assert HINTS["--set" in out] in err


def test_all_mistakes_are_told_at_once_with_their_places(tmp_path):
    file = tmp_path / "toy.toml"
    file.write_text('data.source = "evil.py:rows"\n[losses.mine]\nfunction = "evil.py:loss"\n')
    study = studies.load(file, ["model.build=evil:build"])
    with pytest.raises(InputError) as error:
        require(study)
    places = [line.partition(": evil")[0] for line in str(error.value).splitlines()]
    assert places == [f"{file}: data.source", "overrides model.build", f"{file}: losses.mine.function"]


def test_the_study_as_it_began_is_no_more_trusted_than_the_journal_that_keeps_it():
    study = studies.from_dict(GOOD, ["tracking.uri=sqlite:///mine.db"])
    begun = studies.as_begun(study, {}, {**GOOD, "tracking": {"uri": "sqlite:///theirs.db"}})
    assert begun.tracking.uri == "sqlite:///mine.db"
    require(begun)
    with pytest.raises(InputError, match=r"data\.source: evil.py:rows names code"):
        require(studies.as_begun(study, {}, {**GOOD, **CODE["data.source"]}))


def test_a_study_whose_files_would_go_elsewhere_is_refused(tmp_path):
    study = studies.from_dict(GOOD, base=tmp_path)
    study.folder.mkdir(parents=True)
    require(study)
    (study.folder / "best.keras").symlink_to(Path.home() / ".profile")
    with pytest.raises(InputError, match=r"best\.keras: is a link, and safe mode writes through none"):
        require(study)
