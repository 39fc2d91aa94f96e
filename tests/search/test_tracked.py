"""A worker says where workers of other machines would not find its store."""

import pytest
from searches import Heard

from lossreg.config import study as studies
from lossreg.search import tracked

SQLITE, SERVER = "sqlite:////home/me/mlflow.db", "http://mlflow.example.org:5000"


@pytest.mark.parametrize(("storage", "uri", "is_warned"), [
    ("postgresql+psycopg://me:s3cret-w0rd@db.example.org/studies", SQLITE, True),
    ("grpc://proxy.example.org:13000", SQLITE, True),
    ("${LOSSREG_STORAGE}", SQLITE, True),
    ("grpc://proxy.example.org:13000", SERVER, False),
    ("postgresql+psycopg://me@localhost/studies", SQLITE, False),
    (None, SQLITE, False),
])  # fmt: skip
def test_a_store_that_is_a_file_is_warned_of_where_workers_may_be_on_other_machines(
    storage, uri, is_warned, monkeypatch
):
    monkeypatch.setenv("LOSSREG_STORAGE", "postgresql+psycopg://db.example.org/studies")
    shared = {"storage": {"url": storage}} if storage else {}
    spec = studies.from_dict({"name": "s", "data": {"source": "sklearn:iris"}, **shared})
    heard = Heard()
    tracked.tracker(spec, uri, heard, is_tracked=False, required=False)
    assert ["/home/me/mlflow.db, a file of this machine" in line for line in heard.warnings] == [True] * is_warned
