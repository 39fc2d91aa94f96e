"""Study files at random: each is a study, or an `InputError`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from wrong_studies import GOOD

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from lossreg.config import study  # noqa: E402
from lossreg.config.document import fields  # noqa: E402
from lossreg.config.study import StudySpec  # noqa: E402
from lossreg.errors import InputError  # noqa: E402

bounded = settings(
    max_examples=300, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
FULL = """
[data]
source = "x.csv"
target = "y"
positive = "ja"
encoding = "latin-1"
decimal = ","
thousands = "."
na_values = ["?", 999]
drop_unlabelled = true
columns = { a = "number", b = "drop" }
sheet = "one"
drop = ["c"]
"""
KEYS = sorted(
    {
        key
        for section in StudySpec.model_fields.values()
        if hasattr(section.annotation, "model_fields")
        for key in fields(section.annotation)
    }
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
WORDS = st.sampled_from(
    ["search", "default", "none", "auto", "number", "drop", "utf-8", "rot13", "low", "choices", ","]
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SECTIONS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3)
CHANGES = st.dictionaries(st.sampled_from([*StudySpec.model_fields, "x"]), SECTIONS | VALUES, max_size=3)


def read(make):
    """Return whether a study was read; it can then be stored."""
    try:
        spec = make()
    except InputError as error:
        return not str(error)
    json.dumps([spec.document(), study.fingerprint(spec)])
    return True


@bounded
@given(base=st.sampled_from([GOOD, FULL]), changes=CHANGES)
def test_a_document_is_a_study_or_an_input_error(base, changes):
    document = tomllib.loads(base)
    for name, section in changes.items():
        whole = isinstance(section, dict) and isinstance(document.get(name), dict)
        document[name] = {**document[name], **section} if whole else section
    read(lambda: study.from_dict(document))


@bounded
@given(base=st.sampled_from([GOOD, FULL]), at=st.integers(0, 400), gone=st.integers(0, 20), put=st.binary(max_size=6))
def test_a_file_is_a_study_or_an_input_error(tmp_path, base, at, gone, put):
    content = base.encode()
    path = Path(tmp_path, "study.toml")
    path.write_bytes(content[:at] + put + content[at + gone :])
    read(lambda: study.load(path))


@bounded
@given(
    key=st.sampled_from([f"data.{name}" for name in StudySpec.model_fields["data"].annotation.model_fields]),
    value=VALUES,
)
def test_a_value_of_the_data_section_is_read_or_refused(key, value):
    document = {"data": {"source": "x.csv", key.removeprefix("data."): value}}
    read(lambda: study.from_dict(document))


def test_the_sound_ones_are_read():
    assert all(read(lambda text=text: study.from_dict(tomllib.loads(text))) for text in (GOOD, FULL))
