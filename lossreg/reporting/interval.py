"""The interval of a verdict as one line of text: `cross_entropy better ····├──│────●────┤···· focal better`."""

from __future__ import annotations

from dataclasses import dataclass

from lossreg.reporting.change import known
from lossreg.storage.verdict import Comparison, Verdict

LEAST, MOST = 21, 61


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a line."""

    empty: str
    zero: str
    margin: str
    low: str
    line: str
    high: str
    point: str


UNICODE = Glyphs("·", "│", "┊", "├", "─", "┤", "●")
ASCII = Glyphs(".", "|", ":", "[", "-", "]", "o")


def line(verdict: Verdict, width: int, *, unicode: bool) -> str:
    """Return difference, 95% interval, zero and margin in at most `width` characters; empty where they do not fit.

    Zero is in the middle; to its right the winner is better, to its left the baseline.
    """
    comparison = known(verdict.against_baseline)
    right, left = (f"{side} better" for side in verdict.sides)
    room = min(width - len(left) - len(right) - 2, MOST)
    if comparison is None or room < LEAST:
        return ""
    return f"{left} {_track(comparison, verdict.margin, (room - 1) // 2, UNICODE if unicode else ASCII)} {right}"


def _track(comparison: Comparison, margin: float, half: int, glyphs: Glyphs) -> str:
    """Return `2 * half + 1` characters with zero in the middle."""
    reach = 1.15 * max(abs(comparison.low), abs(comparison.high), margin) or 1.0

    def place(value: float) -> int:
        return half + round(half * value / reach)

    low, high = place(comparison.low), place(comparison.high)
    track = [glyphs.empty] * (2 * half + 1)
    track[low : high + 1] = [glyphs.low, *glyphs.line * (high - low - 1), glyphs.high][: high - low + 1]
    for value in (margin, -margin) if margin else ():
        track[place(value)] = glyphs.margin
    track[half] = glyphs.zero
    track[place(comparison.difference)] = glyphs.point
    return "".join(track)
