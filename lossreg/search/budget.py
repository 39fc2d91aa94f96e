"""The number of trials that a study shall have, as its storage tells it without a preparation of the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from lossreg.config.search_space import FIXED
from lossreg.search import more
from lossreg.storage.trials import ATTRIBUTE

# attribute of a study with the number of trials that its last run gave it, where that is another than it began with
NOTED = "lossreg:budget"
# what it began with, among the other things that it did
FIRST = "budget"


def note(study: optuna.Study, trials: int) -> None:
    """Note the number of trials, where it is another one."""
    if of(study) != trials:
        study.set_user_attr(NOTED, trials)


def of(study: optuna.Study) -> int:
    """Return the number of trials; of a study of a version before, which noted none, one per loss or as searched."""
    about = study.user_attrs[ATTRIBUTE]
    noted = study.user_attrs.get(NOTED, about.get(FIRST))
    if isinstance(noted, int):
        return noted
    if not is_searched(about):
        return len(about["losses"])
    return max(int(about["spec"].get("search", {}).get("trials", 0)), more.noted(study))


def is_searched(about: Mapping[str, Any]) -> bool:
    """Return whether a study that began with these attributes searches anything besides the choice of loss."""
    train, losses = about["spec"].get("train", {}), about["spaces"].values()
    optimizer = train.get("optimizer")
    settings = optimizer.values() if isinstance(optimizer, Mapping) else ()
    is_any_free = any(not text.endswith(FIXED) for space in losses for text in space.values())
    return is_any_free or bool(about.get("shapes")) or any(map(_is_space, (train.get("learning_rate"), *settings)))


def _is_space(plain: Any) -> bool:
    """Tell a search space, in the plain form of a study file, from a number."""
    return isinstance(plain, Mapping)
