"""Words of messages."""

import pytest

from lossreg.data import files
from lossreg.errors import count_of


@pytest.mark.parametrize(
    ("number", "nouns", "text"),
    [
        (1, ("row",), "1 row"), (0, ("row",), "0 rows"), (2000, ("row",), "2,000 rows"),
        (1, ("loss", "losses"), "1 loss"),
        (3, ("loss", "losses"), "3 losses"), (1, ("image lies", "images lie"), "1 image lies"),
    ],
)  # fmt: skip
def test_a_number_agrees_with_its_noun(number, nouns, text):
    assert count_of(number, *nouns) == text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("wyne.csv", "Did you mean wine.csv?"), ("Wine.csv", "Did you mean wine.csv?"), ("nofile.csv", ""),
        ("nix.csv", ""),
        ("x.cvs", ""), ("wine.csv.gz", "Did you mean wine.csv?"), ("wine", "Did you mean wine.csv?"),
        ("base.keras", ""), ("imagse", "Did you mean images?"), ("t.2024.csv", "Did you mean t.2025.csv?"),
        ("s.csv.gz", ""),
    ],
)  # fmt: skip
def test_file_names_are_not_near_by_their_ending(name, hint, tmp_path):
    for other in ("wine.csv", "x.csv", "best.keras", "images", "t.2025.csv", "y.csv.gz"):
        (tmp_path / other).touch()
    assert files.near(tmp_path / name) == hint
