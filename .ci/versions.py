"""Print constraints for the lowest or the newest allowed versions of the packages that lossreg is built around.

    python .ci/versions.py lowest > build/lowest.txt && pip install -c build/lowest.txt .

Others are left to pip. Lowest is the newest patch of the lowest minor version that pyproject.toml allows.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PACKAGES = ("tensorflow", "keras", "keras-tuner", "optuna", "pluggy", "mlflow")
PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def constraints(end: str) -> list[str]:
    """Return a constraint for each of the packages; `end` is lowest or newest."""
    declared = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    allowed = dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in declared)  # type: ignore[union-attr]
    return [f"{name}{allowed[name] if end == 'newest' else lowest(allowed[name])}" for name in PACKAGES]


def lowest(allowed: str) -> str:
    """Return `==2.20.*` of `>=2.20,<2.22`, and `==1.4.8` of `>=1.4.8,<1.5`."""
    bound = re.search(r">=([\d.]+)", allowed)[1]  # type: ignore[index]
    return f"=={bound}" if bound.count(".") == 2 else f"=={bound}.*"


if __name__ == "__main__":
    if sys.argv[1:] not in (["lowest"], ["newest"]):
        sys.exit("usage: python .ci/versions.py lowest|newest")
    sys.stdout.write("\n".join(constraints(sys.argv[1])) + "\n")
