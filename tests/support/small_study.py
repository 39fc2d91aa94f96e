"""A small regression study on rows of a function, whose verdict is reached in seconds."""

from __future__ import annotations

ROWS = """
import numpy as np

def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=({rows}, 4))
    return x, x @ [1.0, -2.0, 0.5, 0.0] + rng.standard_t(2, size={rows}) {change}
"""
SEARCH = {"trials": 6, "metric": "mean_absolute_error", "lanes": 4}


def study(**sections):
    """The study with these sections in place of its usual ones; `verdict` has none."""
    return {
        "name": "small",
        "data": {"source": "table.py:rows"},
        "model": {"hidden": [8]},
        "train": {"epochs": 3},
        "search": SEARCH,
        "losses": {"mean_squared_error": {}, "huber": {}},
        "tracking": {"enabled": False},
        **sections,
    }


def write_rows(folder, rows, change=""):
    """Write the function; change: what is added to its targets."""
    (folder / "table.py").write_text(ROWS.replace("{rows}", str(rows)).replace("{change}", change))
