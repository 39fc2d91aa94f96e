"""Free text as a fixed number of columns: the main directions of its words, weighed by rarity.

This is latent semantic analysis.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from lossreg.data.columns import MISSING, texts
from lossreg.data.reading import TEXT_WIDTH as WIDTH

Values = NDArray[np.float64]
TERMS = 2000  # the most frequent ones, which bounds the file of a preprocessor to 0.4 MB for each column
SAMPLE = 10_000  # rows that terms and directions are learned from
LETTERS = 2000  # of each text
LONG = 200  # letters on average from which on words are counted, and not their parts, which takes ten times as long
NEGLIGIBLE = 1e-6  # of the largest singular value

Unit = Literal["word", "char_wb"]
LENGTHS: dict[Unit, tuple[int, int]] = {"word": (1, 1), "char_wb": (3, 4)}


@dataclass(frozen=True, slots=True)
class TextCode:
    """The encoding of a column: term frequencies times rarity, of length 1 per row, projected and standardised.

    unit: terms are words, or parts of words of 3 and 4 letters; terms: in order; rarity: the inverse document frequency
    of each; directions: float32 `(WIDTH, terms)` in base64, 0 where the training rows have fewer; mean, scale: of each
    of the columns.
    """

    column: str
    unit: Unit
    terms: list[str]
    rarity: list[float]
    directions: str
    mean: list[float]
    scale: list[float]

    def __post_init__(self) -> None:
        if len(self.rarity) != len(self.terms) or self._matrix().shape != (WIDTH, len(self.terms)):
            raise ValueError(f"the encoding of {self.column} does not fit together")

    @classmethod
    def of(cls, column: str, written: NDArray[Any]) -> TextCode:
        """Learn the encoding of a column from the texts of training rows, `(n,)`."""
        sample = _cut(written[:: max(1, -(-len(written) // SAMPLE))])
        unit: Unit = "word" if np.mean([len(text) for text in sample if text] or [0]) >= LONG else "char_wb"
        counter = _counter(unit, max_features=TERMS)
        try:
            weighed = counter.fit_transform(sample)
        except ValueError:  # no text has a term
            return cls(column, unit, [], [], "", [0.0] * WIDTH, [1.0] * WIDTH)
        directions = _directions(weighed)
        projected = weighed @ directions.T
        spread = projected.std(axis=0)
        return cls(
            column, unit, counter.get_feature_names_out().tolist(), counter.idf_.tolist(),
            base64.b64encode(directions.astype("<f4").tobytes()).decode(),
            projected.mean(axis=0).tolist(), np.where(spread > 0, spread, 1.0).tolist(),
        )  # fmt: skip

    def transform(self, table: pd.DataFrame) -> Values:
        """Return the column of a table as `(n, WIDTH)`; a text without known terms is as far from all others."""
        codes, distinct = pd.factorize(texts(table[self.column]))
        if not self.terms:
            return np.zeros((len(codes), WIDTH))
        counter = _counter(self.unit, vocabulary=self.terms)
        counter.idf_ = np.array(self.rarity)
        projected = counter.transform(_cut(distinct)) @ self._matrix().T.astype(np.float64)
        encoded: Values = (projected - np.array(self.mean)) / np.array(self.scale)
        return encoded[codes]

    def _matrix(self) -> NDArray[np.float32]:
        return np.frombuffer(base64.b64decode(self.directions, validate=True), "<f4").reshape(WIDTH, -1)


def _counter(unit: Unit, **more: Any) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer=unit, ngram_range=LENGTHS[unit], **more)


def _cut(written: Iterable[str]) -> list[str]:
    """Return the first letters of each text, none where it is missing."""
    return ["" if text == MISSING else text[:LETTERS] for text in written]


def _directions(weighed: Any) -> Values:
    """Return the main directions of rows `(n, terms)`, `(WIDTH, terms)`, 0 where there are fewer."""
    width = min(WIDTH, *weighed.shape)
    decomposed = TruncatedSVD(width, random_state=0).fit(weighed)
    values = decomposed.singular_values_
    directions = np.zeros((WIDTH, weighed.shape[1]))
    kept = values > NEGLIGIBLE * values.max(initial=0)
    directions[: len(values)] = decomposed.components_ * kept[:, None]
    return directions


class TextEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The encodings of the columns of a table of free text, side by side.

    codes_: one per column.
    """

    def fit(self, table: pd.DataFrame, y: Any = None) -> Self:
        """Learn the encodings from training rows."""
        self.codes_ = [TextCode.of(str(name), texts(table[name])) for name in table.columns]
        return self

    def transform(self, table: pd.DataFrame) -> Values:
        """Return rows as `(n, WIDTH * columns)`."""
        return np.hstack([code.transform(table) for code in self.codes_])

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of these columns, `COLUMN_text0` and so on."""
        return np.array([f"{code.column}_text{i}" for code in self.codes_ for i in range(WIDTH)], object)
