"""Files of tables with bytes changed at random: each is read, or refused with a `DataError`."""

from __future__ import annotations

import gzip
import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from quick import long_but

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from lossreg import data  # noqa: E402
from lossreg.contract.data_options import Options  # noqa: E402
from lossreg.errors import DataError, InputError  # noqa: E402

N = 40
TABLE = pd.DataFrame({
    "age": np.arange(N) * 1.5 + 20, "price": [f"1.{i:03d},50" for i in range(N)],
    "word": ["ab", "?", "e\"f", "g,h"] * 10, "when": ["5.1.2024", "17.2.2024"] * 20, "id": range(N),
    "y": ["yes", "no", "no", "no"] * 10,
})  # fmt: skip


def written(writer):
    stream = io.BytesIO()
    writer(stream)
    return stream.getvalue()


def archive(stream):
    np.savez(stream, x=TABLE[["age", "id"]].to_numpy(), y=np.arange(N) % 2)


FILES = {
    "rows.csv": TABLE.to_csv(index=False).encode(),
    "rows.tsv": TABLE.to_csv(index=False, sep="\t").encode("utf-16"),
    "semicolon.csv": TABLE.to_csv(index=False, sep=";").encode("latin-1"),
    "rows.csv.gz": gzip.compress(TABLE.to_csv(index=False).encode(), mtime=0),
    "rows.jsonl": TABLE.to_json(orient="records", lines=True).encode(),
    "rows.parquet": written(TABLE.to_parquet),
    "rows.feather": written(TABLE.to_feather),
    "rows.npz": written(archive),
}
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=6)), min_size=1, max_size=4)
OPTIONS = st.sampled_from([
    Options(), Options(decimal=",", thousands="."), Options(na_values=("?", 999), drop_unlabelled=True),
    Options(columns={"word": "category", "price": "number"}), Options(encoding="utf-8"), Options(positive="yes"),
])  # fmt: skip


def changed(content, changes):
    for share, gone, put in changes:
        at = int(share * len(content))
        content = content[:at] + put + content[at + gone :]
    return content


def read(name, folder, options):
    """Return the data of a file, None where it is refused; keys that do not fit what it holds are an `InputError`."""
    try:
        return data.load(name, target=None if name.endswith("npz") else "y", base=folder, options=options)
    except InputError as error:
        is_told = str(error) and (isinstance(error, DataError) or error.where in ("positive", "columns", "encoding"))
        return None if is_told else error


@pytest.mark.parametrize("name", long_but(set(FILES) - {"semicolon.csv", "rows.tsv", "rows.feather"}, FILES))
@settings(
    max_examples=50, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(changes=CHANGES, options=OPTIONS)
def test_a_changed_file_is_read_or_refused(tmp_path, name, changes, options):
    Path(tmp_path, name).write_bytes(changed(FILES[name], changes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = read(name, tmp_path, options)
    assert loaded is None or all(np.isfinite(part.x).all() for part in (loaded.train, loaded.validation, loaded.test))


@pytest.mark.parametrize("name", FILES)
def test_the_sound_files_are_read(tmp_path, name):
    Path(tmp_path, name).write_bytes(FILES[name])
    assert len(data.load(name, target=None if name.endswith("npz") else "y", base=tmp_path).train)
