"""Rows in messages: as their user finds them in the file, whatever was left out or joined before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.errors import DataError

N = 40
TABLE = pd.DataFrame(
    {
        "x": np.random.default_rng(0).normal(size=N).round(3),
        "y": ["no", "yes"] * (N // 2),
        "who": [f"c{i % 10}" for i in range(N)],
    }
)
UNLABELLED = Options(drop_unlabelled=True)


def with_gap(row: int, unlabelled: tuple[int, ...] = ()) -> pd.DataFrame:
    """Rows of which one has no group, and some no label."""
    table = TABLE.copy()
    table.loc[row, "who"] = None
    table.loc[list(unlabelled), "y"] = None
    return table


def text_with_oddities(path: Path) -> int:
    """Write a file with blank lines and a text of three lines before the row that has no group; return its line."""
    lines = TABLE.astype(str).apply(",".join, axis=1).tolist()
    lines[4] = lines[4].rpartition(",")[0] + ',"c\n4\n"'
    lines[20] = lines[20].rpartition(",")[0] + ","
    text = ["x,y,who", "", *lines[:10], "", "", *lines[10:]]
    path.write_text("\n".join(text) + "\n")
    return next(i for i, line in enumerate(path.read_text().split("\n"), 1) if line.endswith("no,"))


def refused(where: Any, **options: Any) -> str:
    source = {"source": str(where)} if isinstance(where, Path) else {"source": "data=", "given": where}
    base = where.parent if isinstance(where, Path) else Path()
    with pytest.raises(DataError) as caught:
        data.load(**source, base=base, target="y", group="who", **options)
    return str(caught.value)


def test_rows_of_text_files_are_lines(tmp_path: Path) -> None:
    line = text_with_oddities(tmp_path / "a.csv")
    assert f"the first in line {line} of the file" in refused(tmp_path / "a.csv")


def test_rows_without_labels_are_counted(tmp_path: Path) -> None:
    table = with_gap(20, (2, 3, 11))
    assert "row 21 of the data" in refused(table, options=UNLABELLED)
    table.to_csv(tmp_path / "a.csv", index=False)
    assert "line 22 of the file" in refused(tmp_path / "a.csv", options=UNLABELLED)
    table.to_parquet(tmp_path / "a.parquet")
    assert "row 21 of the file" in refused(tmp_path / "a.parquet", options=UNLABELLED)
    lines = table.to_json(orient="records", lines=True).splitlines()
    (tmp_path / "a.jsonl").write_text("\n".join(["", *lines[:7], " ", *lines[7:]]))
    assert "line 23 of the file" in refused(tmp_path / "a.jsonl", options=UNLABELLED)


def test_rows_of_a_sheet_are_counted_as_the_sheet_does(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    with_gap(20).to_excel(tmp_path / "a.xlsx", index=False, startrow=3)
    assert "row 25 of the sheet" in refused(tmp_path / "a.xlsx")


def test_rows_of_several_files_are_named_with_their_file(tmp_path: Path) -> None:
    with_gap(5, (2,)).to_csv(tmp_path / "a.csv", index=False)
    with_gap(7, (1, 2)).replace(r"^c", "t", regex=True).to_csv(tmp_path / "b.csv", index=False)
    told = refused(tmp_path / "a.csv", test="b.csv", options=UNLABELLED)
    assert "2 of 77 rows have none, the first in line 7 of " in told
    assert "a.csv, line 9 of b.csv" in told


def test_rows_of_arrays_of_parts_are_named_with_their_part(tmp_path: Path) -> None:
    times = np.arange(N, dtype=object)
    parts = {f"{name}_{part}": values for part in ("train", "test") for name, values in
             {"x": TABLE[["x"]].to_numpy(), "y": TABLE.y.to_numpy(), "who": times}.items()}  # fmt: skip
    parts["who_test"] = np.where(times == 4, None, times + N)
    with pytest.raises(DataError, match="the first in row 5 of the test rows"):
        data.load("data=", given=parts, group="who")


BAD = {"who": None, "when": "sometime", "w": -1.0}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ""])
def test_rows_that_are_left_out_for_want_of_a_label_may_hold_anything(tmp_path: Path, suffix: str) -> None:
    """The same split, weights and scores come out as without these rows."""
    clean = TABLE.assign(when=pd.date_range("2024-01-01", periods=N).astype(str), w=1.0 + np.arange(N) % 3)
    odd = pd.concat([clean, pd.DataFrame([{**clean.iloc[0], **BAD, "y": None}] * 3)], ignore_index=True)
    if suffix == ".csv":
        odd.to_csv(tmp_path / "a.csv", index=False)
    if suffix == ".jsonl":
        odd.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    source = {"source": f"a{suffix}"} if suffix else {"source": "data=", "given": odd}
    for cut in ({"group": "who", "drop": ["when"]}, {"time": "when", "drop": ["who"]}):
        made = data.load(**source, base=tmp_path, target="y", weight="w", options=UNLABELLED, **cut)
        usual = data.load("data=", given=clean, target="y", weight="w", **cut)
        for part in ("train", "validation", "test"):
            one, other = getattr(made, part), getattr(usual, part)
            np.testing.assert_array_equal(one.x, other.x)
            np.testing.assert_array_equal(one.weights, other.weights)


def test_arrays_whose_rows_are_left_out_may_have_masked_and_negative_weights() -> None:
    y = np.array([0.5 + i for i in range(N)])
    y[3] = y[7] = np.nan
    weights = np.ma.masked_array(np.arange(1.0, N + 1), np.arange(N) == 3)
    weights[7] = -1
    made = data.load("data=", given=(TABLE[["x"]].to_numpy(), y, weights), options=UNLABELLED)
    assert sum(len(part) for part in (made.train, made.validation, made.test)) == N - 2
    weights[9] = -2
    with pytest.raises(DataError, match="the weight of row 10 of the data is -2"):
        data.load("data=", given=(TABLE[["x"]].to_numpy(), y, weights), options=UNLABELLED)
