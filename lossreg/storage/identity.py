"""The identity of a study: its id, which names its run in MLflow, and the place of its folder, which tells a copy."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from lossreg.storage.trials import ATTRIBUTE

ID, PLACE = "id", "place"


def new() -> str:
    """Return an id that no other study has."""
    return uuid.uuid4().hex


def note_place(study: optuna.Study, folder: Path) -> list[str]:
    """Note the place of a study's folder; one that was copied gets an id of its own. Return notes for the user.

    Only while the study's lock is held.
    """
    attributes, here = study.user_attrs[ATTRIBUTE], _place(folder)
    noted = attributes.get(PLACE) or here
    if attributes.get(PLACE) == here:
        return []
    if is_copy := _is_elsewhere_too(noted, here):
        attributes = {**attributes, ID: new(), "tracking": {}}
    study.set_user_attr(ATTRIBUTE, {**attributes, PLACE: here})
    if is_copy:
        return [f"this study was copied from {noted['path']}: it has a run of its own in MLflow"]
    if noted["host"] != here["host"] and noted["inode"] != here["inode"]:
        where = f"{noted['path']} on {noted['host']}"
        return [f"this study came from {where}: if it goes on there too, both write into the same run in MLflow"]
    return []


def _place(folder: Path) -> dict[str, Any]:
    return {"path": str(folder.resolve()), "inode": folder.stat().st_ino, "host": socket.gethostname()}


def _is_elsewhere_too(noted: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Return whether the folder that was noted is still there, and is another one than this."""
    if noted["path"] == here["path"] or noted["inode"] == here["inode"]:
        return False
    try:
        return bool(Path(noted["path"]).stat().st_ino == noted["inode"])
    except OSError:
        return False
