"""How well the time that is left of a study is known on the way: the error at a quarter, half and three quarters.

    python studies/benchmarks/left.py [STUDY ...] [--set key=value ...]

Seconds are those of the processor, which other work on the machine disturbs less, from the first trial that is asked
for to the end of the study. An error of -20% means that the display showed four fifths of the time that was left; a
dash means that it showed none yet.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import lossreg
from lossreg.reporting.ticker import Ticker
from lossreg.reporting.watcher import Watcher

QUICKSTART = Path(__file__).parents[1] / "quickstart.toml"
AT = (0.25, 0.5, 0.75)


class Recorder(Watcher):
    """Keeps the estimates of the time left, several times per second."""

    def __init__(self):
        super().__init__(time.process_time)
        self.samples, self.began, self.ended = [], 0.0, 0.0
        self.ticker = Ticker(0.1)

    def begin(self, total, done, candidates, together):
        super().begin(total, done, candidates, together)
        self.began = time.process_time()
        self.ticker.start(lambda: self.samples.append((time.process_time(), self.pace.left())))

    def end(self, result):
        self.ticker.stop()
        self.ended = time.process_time()

    def errors(self):
        """The seconds that the study took, and the errors at each share of them."""
        took = self.ended - self.began
        moments = [self.began + share * took for share in AT]
        estimates = [
            max((note for note in self.samples if note[0] <= moment), default=(0.0, None)) for moment in moments
        ]
        return took, [None if left is None else left / (self.ended - at) - 1 for at, left in estimates]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("studies", nargs="*", type=Path, default=[QUICKSTART])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    print("| study | seconds | at a quarter | at half | at three quarters |\n| --- | --- | --- | --- | --- |")
    for study in asked.studies:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / study.name
            file.write_text(study.read_text())
            recorder = Recorder()
            lossreg.tune(file, [*asked.set, "tracking.enabled=false"], progress=recorder)
        took, errors = recorder.errors()
        cells = ["-" if error is None else f"{error:+.0%}" for error in errors]
        print(f"| {study.stem} | {took:.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
