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
    ],
)
def test_an_address_that_no_worker_can_use_is_refused_with_what_would_work(url, message):
    with pytest.raises(InputError, match=f"storage.url: .*{message}"):
        studies.from_dict({**DATA, "storage": {"url": url}})
    if "://" in url:
        with pytest.raises(InputError, match=message):
            address.complete("${URL}", {"URL": url})


def test_variables_of_the_environment_are_put_in():
    given = {"PASSWORD": "h1dden-one", "HOST": "db"}
    url = "postgresql+psycopg://me:${PASSWORD}@${HOST}/studies"
    assert address.complete(url, given) == "postgresql+psycopg://me:h1dden-one@db/studies"
    assert masked("it was h1dden-one") == "it was ***"
    with pytest.raises(InputError, match="no variable PASSWORD"):
        address.complete(url, {"HOST": "db"})


def test_the_address_is_in_nothing_that_is_stored_or_shown():
    study = studies.from_dict(
        {**DATA, "storage": {"url": "postgresql+psycopg://me:s3cret-word@db.example.org/studies"}}
    )
    for text in (str(study.document()), str(studies.fingerprint(study)), repr(study), str(study.model_dump())):
        assert "s3cret-word" not in text
    assert "storage" not in study.document()
    assert studies.fingerprint(study) == studies.fingerprint(studies.from_dict(DATA))
