"""The number of trials that a study has to run, read from its storage without preparing the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from lossreg.config.search_space import FIXED
from lossreg.search import more
from lossreg.storage.trials import ATTRIBUTE

# attribute of a study with the number of trials of its last run, if that differs from the number it began with
NOTED = "lossreg:budget"
# the number it began with, among its first attributes
FIRST = "budget"


def note(study: optuna.Study, trials: int) -> None:
    """Note the number of trials if it has changed."""
    if of(study) != trials:
        study.set_user_attr(NOTED, trials)


def of(study: optuna.Study) -> int:
    """Return the number of trials; older versions did not note it: one per loss, or the number of the search."""
    about = study.user_attrs[ATTRIBUTE]
    noted = study.user_attrs.get(NOTED, about.get(FIRST))
    if isinstance(noted, int):
        return noted
    if not is_searched(about):
        return len(about["losses"])
    return max(int(about["spec"].get("search", {}).get("trials", 0)), more.noted(study))


def overrides(study: optuna.Study) -> list[str]:
    """Return the override that gives another study as many trials as this one has by its last run, if it is needed."""
    about, noted = study.user_attrs.get(ATTRIBUTE, {}), study.user_attrs.get(NOTED)
    if not isinstance(noted, int):
        return more.overrides(study)
    is_other = noted != about["spec"].get("search", {}).get("trials")
    return [f"{more.KEY}={noted}"] if is_other and is_searched(about) else []


def is_searched(about: Mapping[str, Any]) -> bool:
    """Return whether a study that began with these attributes searches anything besides the choice of loss."""
    train, losses = about["spec"].get("train", {}), about["spaces"].values()
    optimizer = train.get("optimizer")
    settings = optimizer.values() if isinstance(optimizer, Mapping) else ()
    is_any_free = any(not text.endswith(FIXED) for space in losses for text in space.values())
    return is_any_free or bool(about.get("shapes")) or any(map(_is_space, (train.get("learning_rate"), *settings)))


def _is_space(plain: Any) -> bool:
    """Return whether a value in the plain form of a study file is a search space, not a number."""
    return isinstance(plain, Mapping)
