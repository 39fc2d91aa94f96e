"""Data of the studies in this folder that no one-line source gives."""

import numpy as np
from sklearn.datasets import make_regression


def shifted_regression(n_samples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `regression.toml` with the target shifted so that its least value is 0.

    Returns `(n, 20)` inputs and `(n,)` targets.
    """
    x, y = make_regression(n_samples=n_samples, n_features=20, noise=0.1, random_state=1)
    return x, y - y.min()


def overdispersed_counts(n_samples: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts of a negative binomial distribution, whose variance is rate + rate^2 / 2.

    Returns `(n, 8)` inputs, of which three settle the rate, and `(n,)` counts.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_samples, 8))
    rate = np.exp(1 + 0.6 * x[:, 0] - 0.4 * x[:, 1] + 0.3 * x[:, 0] * x[:, 2])
    return x, rng.poisson(rng.gamma(2.0, rate / 2))


def costs(n_samples: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Costs of a log-normal distribution, whose standard deviation is about 0.66 times their mean.

    Returns `(n, 8)` inputs, of which three matter, and `(n,)` costs above 0.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_samples, 8))
    middle = np.exp(6 + 0.7 * x[:, 0] - 0.3 * np.abs(x[:, 1]) + 0.3 * x[:, 0] * x[:, 2])
    return x, middle * rng.lognormal(0.0, 0.6, n_samples)


def widening_noise(n_samples: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A curve under noise that is skewed, and grows with the first input.

    Returns `(n, 4)` inputs and `(n,)` targets.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n_samples, 4))
    spread = 0.2 + 0.8 * (x[:, 0] + 1)
    return x, 3 * np.sin(2 * x[:, 0]) + x[:, 1] + spread * (rng.gamma(1.5, 1.0, n_samples) - 1.5)


def drawn_shapes(n_samples: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Shapes of random size and place in noise, one label in ten wrong.

    Returns `(n, 24, 24)` images of bytes and `(n,)` names of the shapes.
    """
    rng = np.random.default_rng(seed)
    names = np.array(["cross", "disc", "square", "triangle"])
    rows, columns = np.mgrid[:24, :24]
    labels, images = rng.integers(0, 4, n_samples), np.empty((n_samples, 24, 24), np.uint8)
    for image, label in zip(images, labels, strict=True):
        size, (top, left) = rng.uniform(4, 7), rng.uniform(8, 16, 2)
        y, x = np.abs(rows - top), np.abs(columns - left)
        within = np.maximum(x, y) < size
        shape = [np.minimum(x, y) < size / 3, x**2 + y**2 < size**2, within, 2 * x < rows - top + size][label] & within
        image[:] = np.clip(rng.normal(60 + 80 * shape, 30), 0, 255)
    wrong = rng.random(n_samples) < 0.1
    return images, names[np.where(wrong, rng.integers(0, 4, n_samples), labels)]
