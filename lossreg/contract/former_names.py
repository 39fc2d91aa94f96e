"""Names up to 0.2.0 of what a loss declares, which are still taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossreg.errors import InputError

ACTIVATION = {"link": "activation"}
CLAIMS = {"kinks": "non_differentiable_points"}
FACTS = {**ACTIVATION, **CLAIMS, "twin_of": "same_as"}


def by_present_names(
    facts: Mapping[str, Any], *, where: str = "", renamed: Mapping[str, str] = ACTIVATION
) -> dict[str, Any]:
    """Return the facts under the names that those `renamed` have now; raises `InputError` for one under both names."""
    for former, present in renamed.items():
        if former in facts and present in facts:
            what = f"{former} is an earlier name of {present}, which is given too"
            raise InputError(what, where=where, hint=f"Keep {present}.")
    return {renamed.get(name, name): value for name, value in facts.items()}
