"""Words of messages."""

import pytest

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
