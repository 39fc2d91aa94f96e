"""The data of strokes.toml."""

import numpy as np
from sklearn.datasets import load_digits

INK = 8.0


def noisy_strokes(noise=8.0, seed=0):
    """Images `(1797, 8, 8)` of digits, ink 0 to 16, with noise of that standard deviation, and masks of the strokes."""
    images = load_digits().images
    return images + np.random.default_rng(seed).normal(scale=noise, size=images.shape), images >= INK
