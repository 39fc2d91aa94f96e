"""The weights of trials that a study keeps, one file per trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from lossreg.errors import InputError, one_line
from lossreg.storage.replaced_file import replaced
from lossreg.storage.trial_record import Weights
from lossreg.terminal.caller import words

# entry of an archive with the number of its trial
TRIAL = "trial"
REPAIR = ("lossreg repair STUDY", "lossreg.repair(study)")


class WeightFiles:
    """The files of weights in a folder; `part` names the file in which this process writes before it replaces one."""

    def __init__(self, folder: Path, part: Callable[[str], Path]) -> None:
        self._folder, self._part = folder, part

    @property
    def numbers(self) -> list[int]:
        """The trials whose weights are kept."""
        names = (path.stem.removeprefix("weights-") for path in self._folder.glob("weights-*.npz"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def save(self, number: int, weights: Weights) -> None:
        """Write the weights of a trial that is about to end, with its number; all or nothing."""
        arrays = {f"w{i:04d}": weight for i, weight in enumerate(weights)}
        with replaced(self._part("weights"), self._file(number)) as file:
            np.savez(file, **arrays, **{TRIAL: np.int64(number)})  # type: ignore[arg-type]

    def load(self, number: int) -> Weights | None:
        """Return the weights of that trial, None when they were not kept.

        Raises `InputError` where they are damaged or another trial's; older files have no number of a trial.
        """
        file, hint = self._file(number), f"`{words(*REPAIR)}` moves it aside."
        if not file.exists():
            return None
        try:
            if not is_zipfile(file):
                raise ValueError("it is no archive of arrays")
            with np.load(file, allow_pickle=False) as arrays:
                stored = int(arrays[TRIAL]) if TRIAL in arrays.files else number
                if stored != number:
                    what = f"this file holds the weights of trial {stored}, not of trial {number}"
                    raise InputError(what, where=str(file), hint=hint)
                return [arrays[name] for name in sorted(arrays.files) if name != TRIAL]
        except InputError:
            raise
        except Exception as error:
            what = f"this file of weights is damaged ({one_line(error)})"
            raise InputError(what, where=str(file), hint=hint) from error

    def forget(self, numbers: Iterable[int]) -> None:
        """Remove the weights of these trials, where there are any."""
        for number in numbers:
            self._file(number).unlink(missing_ok=True)

    def damaged(self) -> dict[Path, int]:
        """Return the files that cannot be read or are another trial's, each with the trial that it is named after."""
        files = {}
        for number in self.numbers:
            with suppress(InputError):
                self.load(number)
                continue
            files[self._file(number)] = number
        return files

    def _file(self, number: int) -> Path:
        return self._folder / f"weights-{number:06d}.npz"
