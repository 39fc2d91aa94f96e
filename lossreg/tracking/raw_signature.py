"""MLflow's signature and example of a model that takes raw rows."""

from __future__ import annotations

from typing import Any

from lossreg.prediction.description import Description


def of(about: Description) -> Any:
    """Return the signature of a predictor, None for several inputs some of which are tables.

    MLflow refuses whole numbers in a column of real ones, so columns of numbers are of any type.
    """
    from mlflow.models import ModelSignature

    if not about.columns and not about.arrays:
        return None
    return ModelSignature(_columns(about) if about.columns else _arrays(about), _outputs(about))


def _columns(about: Description) -> Any:
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    types = {"boolean": DataType.boolean, "string": DataType.string, "any": AnyType()}
    return Schema([ColSpec(types[column.kind], column.name, required=column.required) for column in about.columns])


def _arrays(about: Description) -> Any:
    import numpy as np
    from mlflow.types import Schema, TensorSpec

    return Schema([
        TensorSpec(np.dtype(array.dtype), (-1, *array.shape), name or None) for name, array in about.arrays.items()
    ])  # fmt: skip


def _outputs(about: Description) -> Any:
    from mlflow.types import ColSpec, DataType, Schema

    if about.task == "segmentation":
        return None
    each = [ColSpec(DataType.float, f"{about.output}_of_{name}") for name in about.names]
    if about.task == "multilabel":
        return Schema([ColSpec(DataType.long, f"predicted_{name}") for name in about.names] + each)
    types = {bool: DataType.boolean, int: DataType.long, float: DataType.double}
    kinds = {types.get(type(label), DataType.string) for label in about.classes} or {DataType.float}
    return Schema([ColSpec(kinds.pop() if len(kinds) == 1 else DataType.string, "prediction"), *each])


def example(about: Description) -> Any:
    """Return some rows as MLflow takes them, None where the description has none."""
    import numpy as np
    import pandas as pd

    return pd.DataFrame.from_records(about.example).replace({None: np.nan}) if about.example else None
