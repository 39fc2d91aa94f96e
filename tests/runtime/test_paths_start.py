"""Where relative paths start, as messages on missing files say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossreg.data import sources
from lossreg.data.origin import Origin
from lossreg.errors import InputError
from lossreg.runtime import start_files, user_code

MISSING = {
    "code": lambda base: user_code.locate("nowhere.py:f", base),
    "model": lambda base: start_files.read("nowhere.keras", base),
    "table": lambda base: sources.read(Origin("", "nowhere.csv", "y"), drop=(), base=base, seed=0),
    "images": lambda base: sources.read(Origin("", "nowhere/", "y"), drop=(), base=base, seed=0),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize(("folder", "start"), [("", "current folder"), ("studies", "study file")])
def test_a_missing_file_says_where_its_path_starts(kind, folder, start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("studies").mkdir()
    with pytest.raises(InputError, match=f"Relative paths start at the {start}"):
        MISSING[kind](Path(folder))
