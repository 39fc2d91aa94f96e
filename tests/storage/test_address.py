import pytest

from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.storage import address
from lossreg.terminal.masking import masked

DATA = {"data": {"source": "sklearn:iris"}, "name": "s"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///trials.db", "SQLite has one writer at a time .* Take a server, postgresql"),
        ("mysql://host/db", "no storage that workers can share. For example postgresql"),
        ("trials.log", "no storage that workers can share"),
        ("grpc://host", "names no host and port. For example grpc://host:13000"),
        ("grpc://host:many", "names no host and port"),
        ("postgres://me@host/db", r"Did you mean postgresql\+psycopg://\?"),
        ("postgresq+psycopg://me@host/db", r"Did you mean postgresql\+psycopg://\?"),
        ("postgresql+psycopg:/me@host/db", r"Did you mean postgresql\+psycopg://\?"),
        (" postgresql+psycopg://me@host/db", "a space before or after"),
        ("postgresql+psycopg://me@host/db ", "a space before or after"),
        ("postgresql+psycopg://me:s3cr@t-Pw@host/db", "more than one @. In a password @ is written as %40, / as %2F"),
        ("postgresql+psycopg://me:pw@host:554321/db", "Ports go from 1 to 65535"),
        ("postgresql+psycopg://me:pw@host:abc/db", "Ports go from 1 to 65535"),
    ],
)
def test_an_address_that_no_worker_can_use_is_refused_with_what_would_work(url, message):
    with pytest.raises(InputError, match=f"storage.url: .*{message}"):
        studies.from_dict({**DATA, "storage": {"url": url}})
    if "://" in url:
        with pytest.raises(InputError, match=message):
            address.complete("${LOSSREG_URL}", {"LOSSREG_URL": url})


def test_variables_of_the_environment_are_put_in():
    given = {"LOSSREG_PASSWORD": "h1dden-one", "LOSSREG_HOST": "db"}
    url = "postgresql+psycopg://me:${LOSSREG_PASSWORD}@${LOSSREG_HOST}/studies"
    assert address.complete(url, given) == "postgresql+psycopg://me:h1dden-one@db/studies"
    assert masked("it was h1dden-one") == "it was ***"
    with pytest.raises(InputError, match="no variable LOSSREG_PASSWORD"):
        address.complete(url, {"LOSSREG_HOST": "db"})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:pw@host:5432/db", "postgresql+psycopg://me:p%40w@[::1]:5432/db?application_name=a@b",
        "postgresql+psycopg://me@[::1]/db", "postgresql:///db?host=/run/postgresql",
        "postgresql://${LOSSREG_USER}:${LOSSREG_PASSWORD}@${LOSSREG_HOST}:${LOSSREG_PORT}/db", "postgresql://me:p/w@host/db",
    ],
)  # fmt: skip
def test_addresses_of_all_forms_are_taken(url):
    assert address.check(url) == url


def test_a_variable_that_stands_for_a_password_is_named_where_it_cannot_stand(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('storage.url = "postgresql+psycopg://me:${HOME}@host/db"\n')
    with pytest.raises(InputError) as error:
        studies.load(file)
    assert "${HOME} cannot stand in an address" in masked(str(error.value))


@pytest.mark.parametrize("url", ["${HOME}", "postgresql://evil.example/x?application_name=${AWS_SECRET_ACCESS_KEY}"])
def test_no_other_variable_of_the_environment_goes_into_an_address(url):
    with pytest.raises(InputError, match=r"storage.url: \$\{\w+\} cannot stand in an address, only .* LOSSREG_"):
        studies.from_dict({**DATA, "storage": {"url": url}})


@pytest.mark.parametrize(
    "parameter",
    [
        "passfile=/home/me/.pgpass", "sslmode=require&service=mine", "pass%66ile=x", "conninfo=passfile%3Dx",
        "require_auth=password", "require_auth=!scram-sha-256", "require_auth=md5,password", "require_auth=",
    ],
)  # fmt: skip
def test_an_address_names_nothing_by_which_a_password_would_go_elsewhere(parameter):
    url = f"postgresql+psycopg://me@host/db?{parameter}"
    for written in (url, f"${{LOSSREG_STORAGE}}&{parameter}"):
        with pytest.raises(InputError, match="in a study file, which could name any server") as error:
            studies.from_dict({**DATA, "storage": {"url": written}})
        assert '"${LOSSREG_STORAGE}"' in str(error.value)
    # from the environment it is that of the person at work
    assert address.complete("${LOSSREG_URL}", {"LOSSREG_URL": url}) == url


@pytest.mark.parametrize("methods", ["md5", "none", "scram-sha-256,md5", "gss"])
def test_an_address_may_name_how_its_server_authenticates(methods):
    url = f"postgresql+psycopg://me@host/db?require_auth={methods}"
    assert address.check(url) == url


def test_the_address_is_in_nothing_that_is_stored_or_shown():
    study = studies.from_dict(
        {**DATA, "storage": {"url": "postgresql+psycopg://me:s3cret-word@db.example.org/studies"}}
    )
    for text in (str(study.document()), str(studies.fingerprint(study)), repr(study), str(study.model_dump())):
        assert "s3cret-word" not in text
    assert "storage" not in study.document()
    assert studies.fingerprint(study) == studies.fingerprint(studies.from_dict(DATA))
