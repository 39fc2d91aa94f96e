"""The positive class of a binary task: the one that a study names, or else the one that the labels suggest."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from lossreg.data.origin import listed
from lossreg.errors import InputError, did_you_mean

# English, German, French, Spanish, Portuguese, Italian, Dutch, Swedish and Danish, Polish, Czech, Finnish, Turkish
YES = frozenset((
    "yes", "y", "true", "t", "1", "positive", "pos", "present", "ja", "j", "wahr", "positiv", "oui", "o", "vrai",
    "positif", "si", "sí", "s", "verdadero", "verdadeiro", "vero", "positivo", "sim", "waar", "positief", "tak",
    "prawda", "ano", "kyllä", "kylla", "evet", "doğru", "dogru", "да", "истина",
))  # fmt: skip
NO = frozenset((
    "no", "n", "false", "f", "0", "-1", "negative", "neg", "absent", "none", "nein", "falsch", "negativ", "non", "faux",
    "négatif", "negatif", "não", "nao", "falso", "negativo", "nee", "onwaar", "nej", "falsk", "negatief", "nie",
    "falsz", "fałsz", "ne", "ei", "hayır", "hayir", "yanlış", "yanlis", "нет", "ложь",
))  # fmt: skip


LONG = 3  # letters of a word that says enough by itself


class Positive(NamedTuple):
    """The place of the positive class among two, and a note that says which it is and why."""

    place: int
    note: str


class Pair(NamedTuple):
    """Two classes, sorted, or `ordered` as their categories are: their names, their values as texts, their rows."""

    names: Sequence[str]
    values: Sequence[str]
    rows: Sequence[int]
    ordered: bool


def choose(pair: Pair, asked: Any, former: str | None) -> Positive:
    """Return the positive class of two; raises `InputError` where the study asks for one that is not there.

    former: the positive class that a resumed study began with.
    """
    if asked is not None:
        return _positive(pair, find(pair.names, asked), "as data.positive says")
    guess = _guess(pair)
    if former is not None and former in pair.names and former != pair.names[guess.place]:
        return _positive(pair, pair.names.index(former), "as when the study began")
    return guess


def _guess(pair: Pair) -> Positive:
    if pair.ordered:
        return _positive(pair, 1, "the higher of the ordered categories", is_guess=True)
    for texts, reason in ((pair.values, "by its value"), (pair.names, "by its name")):
        by_word = [_is_yes(*texts), _is_yes(*texts[::-1])]
        if any(by_word):
            return _positive(pair, by_word.index(True), reason, is_guess=True)
    if pair.rows[0] == pair.rows[1]:
        return _positive(pair, 1, "the last of two with as many rows", is_guess=True)
    index = int(pair.rows[1] < pair.rows[0])
    return _positive(pair, index, f"the rarer one, {pair.rows[index]:,} of {sum(pair.rows):,} rows", is_guess=True)


def find(classes: Sequence[str], asked: Any) -> int:
    """Return the index of the class that a study names; raises `InputError` where there is none."""
    name = str(asked).strip()
    for alike in (str, str.casefold, _number):
        matches = [index for index, known in enumerate(classes) if alike(known) == alike(name)]
        if len(matches) == 1:
            return matches[0]
    hint = did_you_mean(name, classes) or f"The classes are {listed(classes, 10)}."
    raise InputError(f"no class {name!r}", where="positive", hint=hint)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _is_yes(name: str, other: str) -> bool:
    """Return whether a class is the positive one by the words for it and the other; short words count in pairs only."""
    word, against = _word(name), _word(other)
    if word in YES and against in NO:
        return True
    one_is_enough = (word in YES and against not in YES and len(word) >= LONG) or (
        against in NO and word not in NO and len(against) >= LONG
    )
    return one_is_enough and not (word in NO or against in YES)


def _word(name: str) -> str:
    text = unicodedata.normalize("NFC", name).casefold().strip()
    return text[:-2] if text.endswith(".0") else text


def _positive(pair: Pair, index: int, reason: str, *, is_guess: bool = False) -> Positive:
    quoted = json.dumps(pair.names[1 - index], ensure_ascii=False)
    other = f"; data.positive = {quoted} takes the other" if is_guess else ""
    return Positive(index, f"Positive class (index 1): {pair.names[index]}, {reason}{other}.")
