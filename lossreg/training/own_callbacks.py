"""The user's own callbacks, called as by one `model.fit`, though each epoch is a `fit` of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

import keras

from lossreg.errors import InputError, represented
from lossreg.runtime import user_code

OF_BATCHES = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
SET_THE_RATE = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
RETURNS = "It returns a list of keras.callbacks.Callback, new ones in every call."


@dataclass(frozen=True, eq=False)
class Maker:
    """The user's function that makes the callbacks of a training.

    reference: its name; folder: from which its code may import; seen: the callbacks that it has made.
    """

    function: Callable[[], Any]
    reference: str
    folder: Path
    seen: WeakSet[Any] = field(default_factory=WeakSet)

    @classmethod
    def of(cls, given: Any, base: Path) -> Maker:
        """Return the maker of a function, or of one that is named `file.py:function`; raises `InputError`."""
        if not isinstance(given, str):
            return cls(given, getattr(given, "__name__", "callbacks"), base)
        function = user_code.locate(given, base)
        if not callable(function):
            raise InputError(f"is not a function but {type(function).__name__}", where=given, hint=RETURNS)
        return cls(function, given, user_code.folder(given, base))

    def new(self) -> list[Any]:
        """Return callbacks for a training; raises `InputError` for anything else."""
        callbacks = user_code.call(self.function, self.reference, self.folder)
        if not isinstance(callbacks, (list, tuple)):
            raise InputError(f"returned {represented(callbacks)}, not a list", where=self.reference, hint=RETURNS)
        for callback in callbacks:
            if not isinstance(callback, keras.callbacks.Callback):
                what = f"returned {represented(callback)}, which is no keras.callbacks.Callback"
                raise InputError(what, where=self.reference, hint=RETURNS)
            if callback in self.seen:
                what = f"returned the same {type(callback).__name__} twice"
                raise InputError(what, where=self.reference, hint="Make a new one in every call.")
            self.seen.add(callback)
        return list(callbacks)


def check(maker: Maker, metric: str, *, scheduled: bool) -> None:
    """Raise `InputError` for callbacks of Keras that could only fail or do nothing in a training.

    metric: the study's, whose logs they are shown; scheduled: whether the learning rate has a schedule.
    """
    logs = ["loss", metric, "val_loss", f"val_{metric}"]
    for callback in maker.new():
        kind = type(callback).__name__
        if not type(callback).__module__.startswith("keras.") or isinstance(callback, keras.callbacks.LambdaCallback):
            return  # it may add to the logs that those after it see
        if scheduled and isinstance(callback, SET_THE_RATE):
            what = f"{kind} sets the learning rate, and so does schedule under [train]"
            raise InputError(what, where=maker.reference, hint="Leave one of the two out.")
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor not in (*logs, "learning_rate"):
            what = f"{kind} monitors {monitor}, and the logs have {', '.join(logs)}"
            raise InputError(what, where=maker.reference, hint=f"Name one of these, such as val_{metric}.")


def wants_batches(callbacks: Sequence[Any]) -> bool:
    """Return whether a callback does something at the begin or end of a batch."""
    plain = keras.callbacks.Callback
    functions = ((getattr(callback, name), getattr(plain, name)) for callback in callbacks for name in OF_BATCHES)
    return any(getattr(function, "__func__", function) is not usual for function, usual in functions)


class _Relay(keras.callbacks.Callback):
    """Passes on what happens in a batch, without the count of samples that `Fit` keeps as a metric."""

    def __init__(self, hooks: Hooks, hidden: str) -> None:
        super().__init__()
        self.hooks, self.hidden, self.stopped = hooks, hidden, False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        # `fit` has just forgotten what a callback set before the epoch
        self.model.stop_training = self.stopped

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.hooks.call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        shown = {name: value for name, value in (logs or {}).items() if name != self.hidden}
        self.hooks.call("on_train_batch_end", batch, shown)


class Hooks:
    """The callbacks of one training, from its begin to its end.

    callbacks: new ones; epochs, steps: of the training and of an epoch; hidden: the metric that they are not shown.
    """

    def __init__(
        self, maker: Maker, callbacks: Sequence[Any], model: Any, *, epochs: int, steps: int, hidden: str
    ) -> None:
        self._maker, self._model, self._history = maker, model, keras.callbacks.History()
        every = [*callbacks, self._history]
        self._list = keras.callbacks.CallbackList(every, model=model, epochs=epochs, steps=steps, verbose=0)
        self.relay = _Relay(self, hidden)
        self._is_open, self._logs = False, dict[str, float]()

    def call(self, hook: str, *args: Any) -> None:
        """Call all callbacks; raises `InputError` with the exception of one, after which none is called any more."""
        try:
            user_code.call(getattr(self._list, hook), self._maker.reference, self._maker.folder, *args)
        except BaseException:
            self._is_open = False
            raise

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch (counted from 0), and with the first one the training."""
        if not epoch:
            self._is_open = True
            self.call("on_train_begin")
        self.call("on_epoch_begin", epoch)
        self.relay.stopped = bool(self._model.stop_training)

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """End an epoch with these logs, those of the validation among them; return whether the training is to stop."""
        self._logs = dict(logs)
        self.call("on_test_begin")
        self.call("on_test_end", {name[4:]: value for name, value in logs.items() if name.startswith("val_")})
        self._model.history = self._history
        self.call("on_epoch_end", epoch, dict(logs))
        return bool(self._model.stop_training)

    def end(self) -> None:
        """End the training."""
        self._is_open = False
        self.call("on_train_end", dict(self._logs))

    def leave(self) -> None:
        """End a training that stops early; errors of callbacks are ignored."""
        if self._is_open:
            with suppress(Exception):
                self.end()
