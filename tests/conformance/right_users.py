"""Right losses of users: instances, classes and functions, wrapped."""

import keras

from lossreg import ops, wrap


@keras.saving.register_keras_serializable(package="sound")
class Asymmetric(keras.losses.Loss):
    """Squares that weigh more above the label than below."""

    def __init__(self, weight=2.0, **options):
        super().__init__(**options)
        self.weight = weight

    def call(self, y_true, y_pred):
        e = y_pred - y_true
        return ops.mean(ops.where(e > 0, self.weight, 1.0) * ops.square(e), axis=-1)

    def get_config(self):
        return {**super().get_config(), "weight": self.weight}


@keras.saving.register_keras_serializable(package="sound")
def squares_and_more(y_true, y_pred, weight=0.5):
    """Squares and a little of the size."""
    e = y_pred - y_true
    return ops.mean(ops.square(e) + weight * ops.abs(e), axis=-1)


WRAPPED = [
    wrap(keras.losses.MeanSquaredError(), name="keras_squares"),
    wrap(keras.losses.LogCosh(), name="keras_log_cosh"),
    wrap(keras.losses.MeanAbsoluteError(), name="keras_absolute"),
    wrap(keras.losses.Huber(), name="keras_huber"),
    wrap(Asymmetric(weight=3.0), name="users_class_instance"),
    wrap(Asymmetric, name="users_class"),
    wrap(squares_and_more),
    wrap(keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), name="keras_smoothing",
         target="onehot", activation="identity"),
    wrap(keras.losses.BinaryCrossentropy(from_logits=True), name="keras_binary", target="binary",
         activation="identity"),
    wrap(keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), name="keras_binary_smoothing",
         target="binary", activation="identity"),
]  # fmt: skip
