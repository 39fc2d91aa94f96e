"""Data of the studies in this folder that no one-line source gives."""

import numpy as np
from sklearn.datasets import make_regression


def shifted_regression(n_samples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `regression.toml` with the target shifted so that its least value is 0.

    Returns `(n, 20)` inputs and `(n,)` targets.
    """
    x, y = make_regression(n_samples=n_samples, n_features=20, noise=0.1, random_state=1)
    return x, y - y.min()
