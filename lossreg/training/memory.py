"""Free memory, and the memory that a lane takes."""

from __future__ import annotations

import math
from typing import Any

from lossreg.runtime import system
from lossreg.training.interface import Architecture, Problem

HALF = 0.5  # the share of free memory that lanes may take: estimates err, and other programs need some


def available() -> int:
    """Return the bytes that lanes may still take: of the graphics processor if they run there, else of the machine."""
    device = _device()
    return device if device is not None else system.free_memory()


def _device() -> int | None:
    """Return the free bytes of the first graphics processor; None where lanes run on the processor's cores."""
    import keras

    return _of_jax() if keras.backend.backend() == "jax" else _of_tensorflow()


def _of_jax() -> int | None:
    import jax

    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    return int(stats["bytes_limit"] - stats["bytes_in_use"]) if stats else None


def _of_tensorflow() -> int | None:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    try:
        from tensorflow.python.client import device_lib
    except ImportError:  # private: a later TensorFlow may have it elsewhere
        return None
    limits = [device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU"]
    return int(limits[0] - tf.config.experimental.get_memory_info("GPU:0")["current"])


def lane_bytes(problem: Problem, outputs: int, architecture: Architecture | None = None) -> int:
    """Return an estimate of the bytes that a lane takes at most, made once."""
    known, key = problem.lane_bytes, (outputs, architecture)
    if key not in known:
        known[key] = _estimated(problem, outputs, architecture)
    return known[key]


def _estimated(problem: Problem, outputs: int, architecture: Architecture | None) -> int:
    """Return an estimate of the bytes that a lane takes at most.

    These are its state before and after a step (weights and the optimizer's slots), gradients, the outputs of layers
    for a batch and their gradients, the same for the samples that are validated together, the raw scores of an epoch
    with what metrics make of them, and batch orders.
    """
    from lossreg.training.lane_graph import KEPT, TOGETHER
    from lossreg.training.optimizers import LaneOptimizer

    model, data = problem.build(outputs, 0, architecture), problem.folds[0]
    batch = (architecture or Architecture(problem.batch_size)).batch_size
    optimizer = LaneOptimizer(problem)
    optimizer.build(model.trainable_variables)
    trained, state = _bytes(model.trainable_variables), _bytes(model.variables)
    state += sum(4 * math.prod(size) for size, _ in optimizer.signature)
    samples, validated, width = len(data.train.y), len(data.validation.y), math.prod(model.outputs[0].shape[1:])
    layers = 4 * outputs_per_sample(model)
    raw_scores = 4 * (min(samples * width, KEPT) + validated * width)
    together = 2 * min(batch, samples) + min(TOGETHER, validated)
    return int(2 * state + trained + layers * together + 4 * raw_scores + 16 * samples)


def outputs_per_sample(model: Any) -> int:
    """Return the number of outputs per sample of all operations of a functional model, models inside it included."""
    import keras

    total, nodes = 0, getattr(model, "operations", ()) or getattr(model, "layers", ())
    for node in nodes:
        total += outputs_per_sample(node)
        outputs = keras.tree.flatten(_output(node))
        total += sum(math.prod(size or 1 for size in output.shape[1:]) for output in outputs)
    return total


def _output(node: Any) -> Any:
    """Return the output of an operation, nothing of a layer inside a subclassed one, whose output is unknown."""
    try:
        return node.output
    except AttributeError:
        return ()


def _bytes(variables: Any) -> int:
    return sum(4 * math.prod(variable.shape) for variable in variables)
