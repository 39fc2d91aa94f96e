"""A saved Keras model as an MLflow model, packed without Keras: a note beside it says what MLflow keeps of it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

from lossreg.errors import InputError
from lossreg.prediction import bundle
from lossreg.prediction import description as descriptions
from lossreg.prediction.description import Description
from lossreg.runtime import keras_file
from lossreg.tracking import raw_signature

FLAVOR = "keras"
DATA, PREDICTOR = "data", "predictor"
Version = Annotated[str, StringConstraints(pattern=r"^[\w.+-]+$")]
Dtype = Annotated[str, StringConstraints(pattern=r"^[a-z]\w*$")]
Tensor = tuple[str | None, Dtype, list[int]]
# nobody else's package is installed where the model is served
Requirement = Annotated[str, StringConstraints(pattern=r"^(keras|tensorflow|jax|torch|lossreg)==[\w.+-]+$")]


class Note(BaseModel):
    """The description of a saved model as it is kept beside its file, whose digest it has."""

    model_config = ConfigDict(extra="forbid")

    digest: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    version: Version
    backend: Version
    requirements: list[Requirement]


def describe(model: Any, path: Path) -> dict[str, Any]:
    """Return what MLflow keeps of a Keras model that is saved at `path`, as JSON values; Keras is imported already."""
    import keras

    return {
        "path": str(path),
        "inputs": _tensors(model.inputs),
        "outputs": _tensors(model.outputs),
        "version": keras.__version__,
        "backend": keras.backend.backend(),
        "requirements": _requirements(model),
    }


def note(description: Mapping[str, Any]) -> None:
    """Keep a description beside the model's file, so that the model need not be loaded to be tracked later."""
    path = Path(description["path"])
    about = {name: value for name, value in description.items() if name != "path"}
    path.with_suffix(".json").write_text(Note(digest=_digest(path), **about).model_dump_json())


def _noted(path: Path) -> dict[str, Any]:
    """Return the description that is kept beside a model's file; its path alone where there is none of this file."""
    try:
        kept = Note.model_validate_json(path.with_suffix(".json").read_bytes())
        about = kept.model_dump(exclude={"digest"}) if kept.digest == _digest(path) else {}
    except (OSError, ValueError):
        about = {}
    return {"path": str(path), **about}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of(model: Any) -> tuple[dict[str, Any], Path | None]:
    """Return the description of a model, a path or a description, and a folder to remove when it is logged."""
    if isinstance(model, Mapping):
        return dict(model), None
    if isinstance(model, (str, Path)):
        return _noted(Path(model)), None
    folder = Path(tempfile.mkdtemp(prefix="lossreg-"))
    model.save(folder / "model.keras")
    return describe(model, folder / "model.keras"), folder


def _tensors(tensors: Iterable[Any]) -> list[list[Any]]:
    """Return name (None if it stands alone), dtype and shape of each, -1 for an open size."""
    every = list(tensors)
    return [
        [tensor.name if len(every) > 1 else None, str(tensor.dtype), [-1, *(size or -1 for size in tensor.shape[1:])]]
        for tensor in every
    ]


def _requirements(model: Any) -> list[str]:
    """Return the packages that a served model needs: MLflow's own inference takes a minute."""
    from importlib.metadata import version

    import keras

    names = ["keras", keras.backend.backend(), *(["lossreg"] if "lossreg" in model.to_json() else [])]
    return [f"{name}=={version(name)}" for name in names]


def _loaded(path: str) -> dict[str, Any]:
    """Return the description of a file alone; imports Keras."""
    return describe(keras_file.load(path, compile=False), Path(path))


def pack(description: Mapping[str, Any], folder: Path, logged: Any, run_id: str) -> None:
    """Write the MLflow model of a description into `folder`; logged is MLflow's entity of the model.

    Where the files of a predictor lie beside the Keras model, it takes raw rows, and brings the code that reads them;
    otherwise it is what `mlflow.keras.save_model` would write. `mlflow.keras.load_model` reads the network of either.
    """
    from mlflow.models import Model

    about = description if "inputs" in description else _loaded(description["path"])
    path = Path(about["path"])
    model = Model(
        artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run_id, model_id=logged.model_id
    )
    options = {"keras_version": about["version"], "keras_backend": about["backend"], "save_exported_model": False}
    beside = _beside(path)
    place_of_data = DATA if beside is None else f"{DATA}/{PREDICTOR}"
    model.add_flavor(FLAVOR, data=place_of_data, **options)
    model.model_size_bytes = path.stat().st_size
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as place:
        warnings.simplefilter("ignore")  # on an input example that is not there
        _save(folder, model, **(_network(about) if beside is None else _raw_rows(beside, path, Path(place))))
    (folder / place_of_data).mkdir(exist_ok=True)
    (folder / place_of_data / "keras_module.txt").write_text("keras")
    shutil.copy(path, folder / place_of_data / descriptions.MODEL)


def _save(folder: Path, model: Any, **options: Any) -> None:
    from mlflow import pyfunc

    pyfunc.save_model(str(folder), mlflow_model=model, **options)


def _beside(path: Path) -> Description | None:
    """Return the description of the predictor that a model file belongs to, None where its files are not whole."""
    if not path.with_name(descriptions.PREPROCESSOR).exists():
        return None
    try:
        return descriptions.described(path.with_name(descriptions.DESCRIPTION))
    except InputError:
        return None


def _network(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what MLflow keeps of a network of preprocessed rows."""
    return {
        "loader_module": f"mlflow.{FLAVOR}", "signature": _signature(about),
        "pip_requirements": list(about["requirements"]),
    }  # fmt: skip


def _raw_rows(about: Description, path: Path, folder: Path) -> dict[str, Any]:
    """Return what MLflow keeps of a predictor of raw rows, whose code and data are written into a folder."""
    (folder / PREDICTOR).mkdir()
    for file in (descriptions.PREPROCESSOR, descriptions.DESCRIPTION):
        shutil.copy(path.with_name(file), folder / PREDICTOR / file)
    return {
        "loader_module": f"{bundle.PACKAGE}.prediction.pyfunc", "code_paths": [str(bundle.write(folder))],
        "data_path": str(folder / PREDICTOR), "signature": raw_signature.of(about),
        "input_example": raw_signature.example(about), "pip_requirements": list(about.requirements),
    }  # fmt: skip


def rehearse() -> None:
    """Pack nothing into a folder that goes away: the first time MLflow reads what is installed, for a second."""
    from mlflow import pyfunc

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyfunc.save_model(str(Path(folder, "model")), loader_module=f"mlflow.{FLAVOR}", pip_requirements=["mlflow"])


def _signature(about: Mapping[str, Any]) -> Any:
    from mlflow.models import ModelSignature

    return ModelSignature(_schema(about["inputs"]), _schema(about["outputs"]))


def _schema(tensors: Iterable[Any]) -> Any:
    import numpy as np
    from mlflow.types import Schema, TensorSpec

    return Schema([TensorSpec(np.dtype(dtype), tuple(shape), name) for name, dtype, shape in tensors])
