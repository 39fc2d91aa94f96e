"""An exported predictor: a folder that predicts raw rows on any machine, without lossreg."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from lossreg.data.exposures import base_of
from lossreg.errors import InputError, brief, on_disk, one_line
from lossreg.prediction import bundle, predictor_files
from lossreg.prediction.description import DESCRIPTION, Column
from lossreg.prediction.predictor import Predictor
from lossreg.storage.replaced_file import folder_beside
from lossreg.version import __version__

SCRIPT = '''"""Predict new rows: python predict.py {files}"""

from pathlib import Path

from {package}.prediction import filing

if __name__ == "__main__":
    filing.main(Path(__file__).parent)
'''
README = """# {target}

Predicts {target} from raw rows: {what}. Trained as trial {trial} of the study {study} with
`{loss}`.

```sh
pip install -r requirements.txt
python predict.py {files}
```

In Python, from this folder:

```python
from {package}.prediction import predictor_files

predictor = predictor_files.load_folder(".")
predictor.predict(rows)  # a DataFrame, an array, or the path of a file
```

{columns}

`model.keras` takes preprocessed rows; `preprocessor.json` says how these are made; `predictor.json` says what is
predicted. These three hold no code. `{package}` is the code of lossreg {version} that reads rows.
"""


ONNX = "model.onnx"
MAIN = "predict.py"
# names what is written in a folder that is there, until it is whole
PART = "export"
# what Keras needs to write it, by its backend
NEEDED = {"tensorflow": "onnx tf2onnx", "jax": "jax2onnx"}


def write(predictor: Predictor, folder: Path, *, onnx: bool = False) -> None:
    """Write a predictor, its code, a script and a page on them into a new folder; onnx: as `write_onnx` too.

    Raises `InputError` where the folder has files, unless an earlier export made them, or cannot be written; and
    where `write_onnx` does. Whatever fails before all is written leaves the folder as it was.
    """
    is_export(folder)
    # a folder that is there may be on a disk of its own
    place = folder / PART if folder.exists() else folder
    with on_disk(brief(folder)), folder_beside(place) as beside:
        whole = beside / "whole"
        predictor_files.save(predictor, whole)
        if onnx:
            write_onnx(predictor, whole)
        bundle.write(whole)
        for name, text in _texts(predictor).items():
            (whole / name).write_text(text, encoding="utf-8")
        _put(whole, folder)


def _texts(predictor: Predictor) -> dict[str, str]:
    """Return the text of each file on the export, by its name."""
    return {
        MAIN: SCRIPT.format(package=bundle.PACKAGE, files=" ".join(files(predictor))),
        "README.md": _page(predictor),
        "requirements.txt": "".join(f"{line}\n" for line in predictor.about.requirements),
    }  # fmt: skip


def _put(whole: Path, folder: Path) -> None:
    """Move an export into its place; its description, without which none loads, comes last into a folder with files."""
    if not folder.exists():
        whole.rename(folder)
        return
    (whole / MAIN).replace(folder / MAIN)
    for name in (DESCRIPTION, ONNX):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / bundle.PACKAGE, ignore_errors=True)
    for file in sorted(whole.iterdir(), key=lambda file: file.name == DESCRIPTION):
        file.replace(folder / file.name)


def write_onnx(predictor: Predictor, folder: Path) -> Path:
    """Write the network as `model.onnx`, as Keras exports it, and return its file.

    Raises `InputError` where a package for that is missing, or Keras cannot export this network.
    """
    import keras

    file = folder / ONNX
    try:
        _call(predictor.model)
        predictor.model.export(file, format="onnx", verbose=False)
    except ImportError:
        packages = NEEDED.get(keras.backend.backend(), "onnx tf2onnx")
        raise InputError(
            "needs packages that are not installed", where="--onnx", hint=f"pip install {packages}"
        ) from None
    except Exception as error:
        raise InputError(f"Keras cannot export this network: {one_line(error, 300)}", where="--onnx") from error
    return file


def _call(model: Any) -> None:
    """Call a model once: Keras exports none that was never called."""
    import keras

    model(keras.tree.map_structure(lambda each: np.zeros([size or 1 for size in each.shape], each.dtype), model.input))


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an earlier export; raises `InputError` where it holds anything else."""
    with on_disk(brief(folder)):
        if folder.exists() and not folder.is_dir():
            raise InputError("is a file", where=brief(folder), hint="Give a folder.")
        if not folder.exists() or all(file.name.startswith(f".{PART}-") for file in folder.iterdir()):
            return False
        if not _is_script(folder / MAIN):
            raise InputError("has files that are no export", where=brief(folder), hint="Give a new folder.")
        return True


def _is_script(file: Path) -> bool:
    """Return whether a file is the script of an export, which comes into its folder before all else."""
    begins_with = SCRIPT.partition("{")[0]
    return file.is_file() and file.read_text(encoding="utf-8", errors="replace").startswith(begins_with)


def files(predictor: Predictor) -> list[str]:
    """Return the arguments of predict.py: a file of new rows that the predictor takes, and one for predictions."""
    about = predictor.about
    rows = "folder_of_images" if _has_images(predictor) else "new.csv" if about.columns else "new.npz"
    return [rows, "-o", f"predicted.{'npz' if about.task == 'segmentation' else 'csv'}"]


def _has_images(predictor: Predictor) -> bool:
    return bool(getattr(base_of(predictor.preprocessor), "images_", None))


def _page(predictor: Predictor) -> str:
    about, exposed = predictor.about, getattr(predictor.preprocessor, "column", "")
    columns = [f"{column.name}{_may_lack(column, exposed)}" for column in about.columns]
    arrays = f"Rows are arrays, as in training{', or a folder of images' * _has_images(predictor)}."
    rates = f" Without `{exposed}` predictions are rates, for an exposure of 1." if exposed else ""
    return README.format(
        target=", ".join(about.target), what=_what(predictor), trial=about.trial, study=about.study, loss=about.loss,
        columns=(f"Columns: {', '.join(columns)}." if columns else arrays) + rates,
        package=bundle.PACKAGE, version=__version__, files=" ".join(files(predictor)),
    )  # fmt: skip


def _may_lack(column: Column, exposed: str) -> str:
    return "" if column.required else " (may be missing)" if column.name == exposed else " (may have gaps)"


def _what(predictor: Predictor) -> str:
    about = predictor.about
    if about.task == "segmentation":
        return f"a mask of 0 and 1, and the {about.output} of each pixel"
    if about.output == "prediction":
        return "a number in its own unit"
    return f"{'a probability' if about.output == 'probability' else 'a score'} of each of {', '.join(about.names)}"
