"""The function that every text goes through on its way out: secrets by their form, and by their letters."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
import sample_study as sample

from lossreg import tracking
from lossreg.errors import InputError, LossregError, one_line
from lossreg.reporting import description
from lossreg.terminal import masking
from lossreg.terminal.masking import learn, masked, masked_values, scheme_and_host
from lossreg.terminal.plain_text import markdown, printable
from lossreg.tracking import entities, messages

BY_FORM = {
    "postgresql://me:pl-nt1d@host/db": "postgresql://me:***@host/db",
    "postgresql://me:pl@nt1d@host/db": "postgresql://me:***@host/db",
    "postgresql://me:pl/nt1d@host:5432/db": "postgresql://me:***@host:5432/db",
    "mysql+pymysql://me:pl:nt?1d#@host/db": "mysql+pymysql://me:***@host/db",
    "postgresql://me:5432/pl-nt1d@host/db": "postgresql://me:***@host/db",
    "mysql+pymysql://me:12?pl-nt1d#@host/db": "mysql+pymysql://me:***@host/db",
    "postgresql://host:5432/db?password=pl@nt1d": "postgresql://host:5432/db?password=***",
    "mysql://me@host/db?password=pl-nt1d&ssl=1": "mysql://me@host/db?password=***&ssl=1",
    "postgresql://host/db?user=me&PASSWORD=pl-nt1d": "postgresql://host/db?user=me&PASSWORD=***",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dpl-nt1d": "mssql+pyodbc:///?odbc_connect=***",
    "DRIVER%3Dx%3BPWD%3Dpl%2Dnt1d%3BUID%3Dme": "DRIVER%3Dx%3BPWD%3D***%3BUID%3Dme",
    "DRIVER={x};UID=me;PWD={pl; nt1d};": "DRIVER={x};UID=me;PWD=***;",
    "DRIVER={x};PWD={pl}};nt1d};UID=me": "DRIVER={x};PWD=***;UID=me",
    "https://pl-nt1d@host/mlflow": "https://***@host/mlflow",
    "https://pl-nt1d:@host/mlflow": "https://***@host/mlflow",
    "https://pl-nt1d:x-oauth-basic@host": "https://***@host",
    "http://me:@pl-nt1d@host": "http://me:***@host",
    "postgresql://me@server:pl-nt1d@host/db": "postgresql://me@server:***@host/db",
    "postgresql://me:pl-nt1d": "postgresql://me:***",
    "https://me:12345@host:8080/x": "https://me:***@host:8080/x",
    "no answer from http://me:pl-nt1d@host: closed": "no answer from http://me:***@host: closed",
    "connect(**{'user': 'me', 'password': 'pl-nt1d'})": "connect(**{'user': 'me', 'password': '***'})",
    "Authorization: Bearer pl-nt1d.x": "Authorization: ***",
    "s3://bucket?aws_secret_access_key=pl-nt1d": "s3://bucket?aws_secret_access_key=***",
    "https://x.blob.core/c?sv=1&sig=pl-nt1d": "https://x.blob.core/c?sv=1&sig=***",
    "postgresql+psycopg://me:pl-nt1d@host/db?password=pl-nt1d": "postgresql+psycopg://me:***@host/db?password=***",
    "postgresql+psycopg://host/db?sslpassword=pl-nt1d&sslkey=pl-nt1d": "postgresql+psycopg://host/db?sslpassword=***&sslkey=***",
    "grpc://me:pl-nt1d@host:13000": "grpc://me:***@host:13000",
    "grpc://pl-nt1d@host:13000": "grpc://***@host:13000",
    "grpc://host:13000?token=pl-nt1d": "grpc://host:13000?token=***",
    "http://h/x?key=pl-nt1d&page=2": "http://h/x?key=***&page=2",
    "https://h/x?X-Amz-Credential=pl-nt1d&X-Amz-Signature=pl-nt1d": "https://h/x?X-Amz-Credential=***&X-Amz-Signature=***",
    "https://h/x?AWSAccessKeyId=pl-nt1d&my_pw=pl-nt1d&apiKey=pl-nt1d": "https://h/x?AWSAccessKeyId=***&my_pw=***&apiKey=***",
    "https://h/x?auth=pl-nt1d&jwt=pl-nt1d&sas=pl-nt1d&session=pl-nt1d": "https://h/x?auth=***&jwt=***&sas=***&session=***",
}
HARMLESS = [
    "http://127.0.0.1:5000/a@b", "https://example.org/@someone", "postgresql://me@host/db",
    "sqlite:////home/me@home/x.db",
    'password authentication failed for user "me"', "mail me@example.org", "databricks://profile",
    "focal: token 3 of 4",
    "score == 0.5", "https://[::1]:5000/x", "mysql+pymysql://me@host/db?ssl_key=/certs/client.key&ssl_ca=ca.pem",
    "http://h/?monkey=banana&workflowType=machine_learning&keepalives_idle=5&primary_keys=ab12&tokenizer=bert",
    "postgresql://host/db?sslkey=%2Fcerts%2Fx&passfile=~/.pgpass&target_session_attrs=read-write", "key=3 of auth=2",
    "postgresql://host/db?require_auth=scram-sha-256",
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), BY_FORM.items(), ids=range(len(BY_FORM)))
def test_a_secret_is_known_by_what_stands_around_it(text, shown):
    assert masked(text) == shown
    assert masked(shown) == shown
    assert masked(f"({text})").startswith(f"({shown}")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text):
    if "://" in text:
        learn(text)
    assert masked(text) == text


SECRET = "Grün/k@hl 5%&x"
SPELLED = [
    SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), json.dumps(SECRET), repr({"x": SECRET}),
    base64.b64encode(f"me:{SECRET}".encode()).decode(), SECRET.replace("&", "&amp;"),
]  # fmt: skip


@pytest.mark.parametrize("address", [f"http://me:{quote(SECRET, safe='')}@host", f"odd://me:{SECRET}@host/db"])
@pytest.mark.parametrize("spelled", SPELLED, ids=range(len(SPELLED)))
def test_a_secret_that_was_learned_is_found_in_any_spelling(address, spelled):
    learn(address)
    for text in (spelled, f"x{spelled}y", f"could not do {spelled} at all"):
        assert not any(piece in masked(text) for piece in (spelled.strip('"'), "k@hl 5", "hl 5%&x", "k%40hl"))


@pytest.mark.parametrize(
    ("address", "echo"),
    [
        ("postgresql://me:s3@cond-h4lf@host/db", 'could not translate host name "cond-h4lf@host"'),
        ("http://me:f1rst/cond-h4lf@host", "404 for path /cond-h4lf"),
        ("me:cond-h4lf@host/db", "unknown scheme cond-h4lf"),
        ("htps://cond-h4lf@host", "no scheme for cond-h4lf"),
        ("postgresql://me:5432/cond-h4lf@host/db", "no database cond-h4lf"),
        ("mysql://me:33?cond-h4lf@host/db", "no parameter cond-h4lf"),
        (
            "mssql+pyodbc:///?odbc_connect=" + quote_plus("DRIVER={x};PWD={cond h4lf}"),
            "login failed, PWD was cond h4lf",
        ),
        ("mssql+pyodbc:///?odbc_connect=" + quote_plus("PWD={f1;rst}}c;h4lf}"), "login failed, PWD was f1;rst}c;h4lf"),
        ("http://me:cond-h4lf", "Failed to parse: 'me:cond-h4lf' is not a valid host or port"),
        ("http://me:5432%2Fh4lf", "invalid literal for int() with base 10: '5432%2Fh4lf'"),
        ("postgresql://host:1/db?user=me&password=f1@h4lf", "failed to resolve host 'h4lf'"),
    ],
)
def test_pieces_into_which_a_library_cuts_an_address_are_found(address, echo):
    learn(address)
    assert "h4lf" not in masked(echo)


@pytest.mark.parametrize("name", ["key", "X-Amz-Signature", "auth", "my_pw", "sslkey", "AWSAccessKeyId", "sas"])
def test_the_value_of_a_parameter_that_looks_like_a_secret_is_known_wherever_it_comes(name):
    learn(f"postgresql+psycopg://host/db?{name}=pl-nt1d&connect_timeout=pl-ain7")
    assert masked("refused: pl-nt1d after pl-ain7") == "refused: *** after pl-ain7"


# what a form takes for the end of a secret
ENDINGS = [" ", "\t", "'", '"', "<", ">", ",", ";", ")", "]", "{", "}", "&", "' \"<", " @ ", "/ "]


FORMS_OF_ADDRESSES = [
    "postgresql://usr:{}@127.0.0.1:1/db", "http://usr:{}@127.0.0.1:5000", "https://{}@127.0.0.1/x",
    "postgresql://127.0.0.1/db?password={}", "https://x.blob.core/c?sv=1&sig={}",
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "ending"),
    # an ampersand ends a parameter
    [(form, ending) for form in FORMS_OF_ADDRESSES for ending in ENDINGS if not ("?" in form and ending == "&")],
)
def test_no_part_of_a_learned_secret_is_left_by_the_forms(form, ending):
    first, last = "frnt" + form[0] + "x7q", "bck" + form[-1] + "9zv"
    address = form.format(f"{first}{ending}{last}")
    learn(address)
    for text in (address, f"cannot reach {address}: refused", repr({"uri": address}), json.dumps({"uri": address})):
        assert not [part for part in (first, last) if part in masked(text)], masked(text)
        assert masked(masked(text)) == masked(text)


ASSIGNMENTS = {'uri = "{}"': '"', "uri = '{}'": "'", "tracking.uri={}": "", "tracking.uri = {}": ""}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (text, f"q0te{char}h4lf")
        for text, quote_mark in ASSIGNMENTS.items() for char in ("'", '"', " ", "<") if char != quote_mark
    ],
)  # fmt: skip
def test_an_address_in_a_study_file_or_an_assignment_is_learned_to_its_end(text, secret):
    written = text.format(f"postgresql://usr:{secret}@host/db")
    masking.learn_all(written)
    assert "h4lf" not in masked(f"refused: {written}")
    assert "h4lf" not in masked(f"refused: {secret}")


def test_a_password_that_stands_in_the_open_beside_it_masks_no_other_word():
    address = "postgresql://mlflow:mlflow@db.example/mlflow"
    learn(address)
    assert masked(address) == "postgresql://mlflow:***@db.example/mlflow"
    assert masked("mlflow experiments restore") == "mlflow experiments restore"


def test_a_password_that_is_a_word_hides_no_form():
    learn("http://me:access@host")
    assert masked("s3://b?aws_secret_access_key=pl-nt1d&access=x") == "s3://b?aws_secret_access_key=***&***=x"


def test_a_short_password_is_no_part_of_longer_words_and_numbers():
    learn("http://me:1234@host")
    assert masked("http%3A%2F%2Fme%3A1234%40host: 12345 rows, 1234") == "http%3A%2F%2Fme%3A***%40host: 12345 rows, ***"


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY"])
def test_the_environment_s_secrets_are_known(monkeypatch, variable):
    monkeypatch.setenv(variable, f"of-{variable}")
    assert masked(f"refused: of-{variable}") == "refused: ***"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:in-{variable}@host")
    assert masked(f"refused: in-{variable}") == "refused: ***"


def test_documents_keep_their_numbers_and_names_and_lose_their_secrets():
    learn("http://me:9876@host")
    learn("http://me:9-87x6b@host")
    document = {"a": [0.9876, 9876, None, True], "why 9-87x6b": {"9876": ("http://x:9876@h",)}}
    assert masked_values(document) == {"a": [0.9876, 9876, None, True], "why ***": {"9876": ["http://x:***@h"]}}


WORDS = {
    "postgres": ("the postgresql_dialect of postgres", "the postgresql_dialect of ***"),
    "adam": ("adam, madam: 'adam' \\nadam %3Aadam%40", "***, madam: '***' \\n*** %3A***%40"),
    "Password1": ("wrong Password1, not Password12", "wrong ***, not Password12"),
    "cross_entropy": ("cross_entropy is not binary_cross_entropy", "*** is not binary_cross_entropy"),
    "12345678": ("12345678 of 123456789", "*** of 123456789"),
    "x7f3": ("x7f3 in 0x7f3a", "*** in 0x7f3a"),
}


@pytest.mark.parametrize("password", WORDS)
def test_a_password_that_is_a_word_is_masked_in_texts_as_a_whole_word_and_never_in_names(password):
    text, shown = WORDS[password]
    address = f"postgresql://me:{password}@host/db"
    learn(address)
    assert (masked(text), masked(text, words=False)) == (shown, text)
    assert masked(address, words=False) == printable(address) == "postgresql://me:***@host/db"
    secret_fields = {"candidate": password, "params": {f"{password}.gamma": 1.0}, "loss_params": {"kind": password}}
    trial = messages.trial(messages.of_trial(sample.trial(0, **secret_fields, reason=f"login with {password} failed")))
    assert (trial.candidate, trial.params, trial.loss_params) == tuple(secret_fields.values())
    assert trial.reason == "login with *** failed"
    assert entities.run_name(trial) == f"{password} {trial.score:.3f} kind={password}"
    assert {"loss": password, f"{password}.kind": password}.items() <= entities.trial_params(trial).items()
    result = sample.study(2, metric=password, data={"classes": {password: 7}}, notes=[f"no {password}"])
    sent = messages.study(messages.of_study(result), [trial])
    assert (sent.metric, sent.data, sent.notes) == (password, {"classes": {password: 7}}, ["no ***"])
    assert f"highest {password}" in description.markdown(sent).replace("\\", "")


@pytest.mark.parametrize(
    "password", ["q7x2m9k4", "hunter2hunter2", "tr0ub4dor", "correct-horse-battery-staple", "x" * 16]
)
def test_a_password_that_is_no_word_is_found_inside_words_and_names(password):
    learn(f"postgresql://me:{password}@host/db")
    assert masked(f"a{password}b", words=False) == printable(f"a{password}b") == "a***b"
    assert masked_values({f"{password}_": [f"_{password}"]}) == {"***_": ["_***"]}


@pytest.mark.parametrize("password", ["adam", "cross_entropy", "12345"])
def test_an_error_of_lossreg_names_what_is_somebody_s_password(password):
    learn(f"http://me:{password}@host")
    error = InputError(f"is no {password}x", where=password, hint=f"Did you mean {password!r}?")
    assert str(error) == f"{password}: is no {password}x. Did you mean {password!r}?"
    assert str(LossregError(f"no {password}, see http://x:{password}@h")) == f"no {password}, see http://x:***@h"
    assert one_line(ValueError(f"no {password}")) == "ValueError: no ***"


def test_a_password_that_ends_like_an_address_hides_no_host():
    learn("s3://me:pl-nt1d@@bucket/x")
    assert masked("pl-nt1d@ is not @bucket") == "*** is not @bucket"


def test_an_address_whose_parameter_holds_an_at_sign_is_masked_to_its_end():
    address = "postgresql://host:5432/db?user=me&password=f1@h4lf"
    learn(address)
    assert "h4lf" not in masked(address, words=False)


def test_the_header_of_a_token_is_known():
    learn("https://pl-nt1d@host")
    assert masked(f"sent Basic {base64.b64encode(b'pl-nt1d:').decode()}") == "sent Basic ***"


def test_a_long_text_without_blanks_is_masked_in_one_pass():
    assert masked("postgresql://me:" * 20_000) == "postgresql://me:***//me:" * 10_000


def test_what_is_learned_in_a_block_is_forgotten_after_it():
    learn("http://me:0ut-side@host")
    with masking.fresh():
        learn("http://me:1n-side@host")
        assert masked("0ut-side 1n-side") == "0ut-side ***"
    assert masked("0ut-side 1n-side") == "*** 1n-side"


def test_every_way_out_goes_through_it():
    learn("http://me:w4y-out@host")
    error = InputError("refused w4y-out", where="at w4y-out", hint="Not w4y-out.")
    shown = [str(error), repr(error), error.what, error.where, error.hint, str(error.at("w4y-out"))]
    shown += [repr(LossregError("w4y-out")), one_line(ValueError("w4y-out")), printable("w4y-out"), markdown("w4y-out")]
    assert not [text for text in shown if "w4y-out" in text or "***" not in text.replace("\\", "")]


MALFORMED = [
    "http://u:{}@", "http://u:{}@host:port", "http://u:{}@host:99999", "http://[u:{}@h", "u:{}@host/db", "{}@host/db",
    "htps://{}@host", "http://u:{}@a host", "postgresql://u:{}", "postgresql+psycopg://u:{}@h:port/d",
    "postgresql+psycopg://u:{}@h", "mysql+nodriver://u:{}@h/d", "mssql+pyodbc://u:{}@h/d", "s3://k:{}@bucket",
    "sqlite://u:{}@h", "file://u:{}@h/x", "s3://bucket?aws_secret_access_key={}", "oracle://h?password={}",
    "mssql+pyodbc:///?odbc_connect=PWD%3D{}",
]  # fmt: skip


@pytest.mark.parametrize("form", MALFORMED)
@pytest.mark.parametrize(
    "secret", ["pl-nt1d", "pl@nt1d", "p/nt1d", "p#nt1d", "p nt1d", "p:nt1d", "p'nt1d", "[nt1d", 'p"nt1d', "p<nt1d"]
)
def test_a_refused_address_is_shown_without_its_password(form, secret):
    with pytest.raises(InputError, match=r"^tracking\.uri: ") as refused:
        tracking.check(form.format(secret), {})
    assert "nt1d" not in str(refused.value) + repr(refused.value)


@pytest.mark.parametrize("form", MALFORMED)
@pytest.mark.parametrize(
    "secret", ["pl-nt1d", "pl@nt1d", "12/nt1d", "5432/nt1d", "12?nt1d", "1#nt1d", "p?x@nt1d", "%6et1d"]
)
def test_what_is_shown_of_a_wrong_address_needs_no_memory(form, secret):
    shown = scheme_and_host(form.format(secret))
    assert "t1d" not in shown
    assert shown.partition("://")[0] == form.partition("://")[0] or "://" not in form


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mlruns", "mlruns"), ("file:///tmp/mlruns", "file:///tmp/mlruns"), ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("http://host:port", "http://host:***"), ("postgres://u@h/d", "postgres://***@h/***"),
        ("postgresql+psycopg://u:p@h:port/d", "postgresql+psycopg://***@h:***"), ("u:p@host/db", "***@host/***"),
        ("http://u:p@host", "http://***"), ("s3://bucket?k=p", "s3://bucket?***"), ("http://[u:p@h", "http://***"),
    ],
)  # fmt: skip
def test_of_a_wrong_address_scheme_and_host_are_shown(address, shown):
    assert scheme_and_host(address) == shown


def test_learning_from_a_study_file_takes_each_address_for_itself():
    masking.learn_all('uri = "http://me:0n-line@host"  # ask me@example.org\ndocs = "https://example.org/x@y"')
    assert masked("0n-line, example, x@y, ask me@example.org") == "***, example, x@y, ask me@example.org"
