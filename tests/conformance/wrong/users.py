"""Wrong losses of users: instances, classes and functions, wrapped."""

import keras

from lossreg import ops, wrap
from wrong.mutant import UNCALLABLE, Family

WRONG = Family()


@keras.saving.register_keras_serializable(package="mutants")
class Forgetful(keras.losses.Loss):
    """The delta is not in the config."""

    def __init__(self, delta=1.0, **options):
        super().__init__(**options)
        self.delta = delta

    def call(self, y_true, y_pred):
        return ops.sum(self.delta**2 * (ops.sqrt(1 + ops.square((y_pred - y_true) / self.delta)) - 1), axis=-1)


@keras.saving.register_keras_serializable(package="mutants")
class Fatherless(keras.losses.Loss):
    """No super().__init__, and so no config."""

    def __init__(self, power=4.0):
        self.power = power

    def call(self, y_true, y_pred):
        return ops.sum(ops.abs(y_pred - y_true) ** self.power, axis=-1)


@keras.saving.register_keras_serializable(package="mutants")
class OfTheWholeBatch(keras.losses.Loss):
    """The mean over everything."""

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_pred - y_true))


@keras.saving.register_keras_serializable(package="mutants")
def unbounded(y_true, y_pred):
    """The mean of the error, not of its size."""
    return ops.mean(y_pred - y_true, axis=-1)


@keras.saving.register_keras_serializable(package="mutants")
def log_of_prediction(y_true, y_pred):
    """Poisson's loss of a prediction that may be negative."""
    return ops.mean(y_pred - y_true * ops.log(y_pred), axis=-1)


def offer(source, caught_by, *also, **options):
    WRONG.offer(wrap(source, **options), caught_by, *also)


offer(keras.losses.Huber(delta=0.2), "saving", name="huber_without_delta")
offer(keras.losses.CosineSimilarity(axis=1), "saving", name="cosine_without_axis", activation="softmax")
offer(Forgetful(delta=0.2), "saving", name="forgetful")
offer(Fatherless(), "saving", "graph", name="fatherless")
offer(OfTheWholeBatch(), "shape", *UNCALLABLE, name="of_the_whole_batch")
offer(keras.losses.Dice(), "shape", *UNCALLABLE, name="dice_of_the_whole_batch", activation="sigmoid")
offer(unbounded, "minimum", "descent", "confidently_wrong", name="mean_error")
offer(log_of_prediction, "finite", *UNCALLABLE, name="log_of_prediction")
offer(lambda y_true, y_pred: ops.mean(ops.square(y_true - y_pred), axis=-1), "saving", name="unknown_to_keras")
