"""TensorFlow set up for lanes, before anything is computed."""

from __future__ import annotations

import contextlib

import tensorflow as tf


def start() -> None:
    """Leave the cores to the blocks of lanes: small operations gain nothing from two threads each.

    Without effect once TensorFlow has started to compute.
    """
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
