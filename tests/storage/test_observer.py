"""`Observer`: what one does that overrides a part of its methods."""

from __future__ import annotations

from lossreg.storage.observer import Observer


class Phases(Observer):
    def __init__(self):
        self.lines = []

    def phase(self, text):
        self.lines.append(text)


def test_trainings_after_the_search_are_phases_with_their_number():
    observer = Phases()
    for done, total in ((0, 1), (0.5, 1), (1, 1), (2, 4)):
        observer.retrained("verdict", done, total)
    assert observer.lines == ["verdict: 0 of 1 training", "verdict: 1 of 1 training", "verdict: 2 of 4 trainings"]
