"""Small searches whose curves are known; imported by worker processes."""

import os
import sys
from pathlib import Path

import keras
import keras_tuner
import numpy as np

X = np.linspace(-1.0, 1.0, 16, dtype="float32")[:, None]
Y = (X > 0).astype("int32")


def train(model, step, callbacks=(), epochs=1, initial_epoch=0):
    """Calls the callbacks as `fit` does; `step(epoch)` returns the logs."""
    every = keras.callbacks.CallbackList(
        list(callbacks), add_history=True, model=model, epochs=epochs
    )
    model.stop_training, model._initial_epoch = False, None
    every.on_train_begin()
    for epoch in range(model._initial_epoch or initial_epoch, epochs):
        every.on_epoch_begin(epoch)
        every.on_train_batch_begin(0)
        logs = step(epoch)
        every.on_train_batch_end(0, logs)
        every.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    every.on_train_end()
    return model.history


class Line(keras.Model):
    """y = slope * x + intercept, trained by hand: 5 ms instead of 200.

    An epoch is one step on all samples.
    """

    def __init__(self):
        super().__init__()
        self.line = self.add_weight((2,), "glorot_uniform", name="line")
        self.built = True

    def evaluate(self, x, y, verbose=0):
        return [float(np.mean(error)) for error in self._errors(x, y)[1:]]

    def fit(
        self, x, y, validation_data=None, validation_split=0.0, **arguments
    ):
        if validation_split:
            kept = round(len(x) * (1 - validation_split))
            validation_data = x[kept:], y[kept:]
            x, y = x[:kept], y[:kept]

        def step(epoch):
            errors = self._errors(x, y)[0]
            gradient = 2 * np.mean([x * errors, errors], axis=(1, 2))
            found = self.evaluate(x, y)
            self.optimizer.apply(
                [keras.ops.convert_to_tensor(gradient.astype("float32"))],
                self.trainable_variables,
            )
            logs = dict(zip(("loss", "mae"), found, strict=True))
            if validation_data is not None:
                found = self.evaluate(*validation_data)
                logs |= dict(zip(("val_loss", "val_mae"), found, strict=True))
            return logs

        for name in ("batch_size", "verbose", "shuffle"):
            arguments.pop(name, None)
        return train(self, step, **arguments)

    def _errors(self, x, y):
        slope, intercept = self.get_weights()[0]
        errors = x * slope + intercept - y
        return errors, errors**2, abs(errors)


def tiny(hp, rate=0.1):
    """A model of two weights."""
    model = Line()
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def dense():
    """A model that Keras trains; eager, for nothing to compile."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(
        keras.optimizers.SGD(0.1), "mse", metrics=["mae"], run_eagerly=True
    )
    return model


def build(hp):
    """What most users write."""
    return tiny(hp, hp.Float("rate", 1e-3, 0.5, sampling="log"))


def curve(x, epoch):
    return (x - 0.3) ** 2 + 1.0 / (epoch + 1)


class Curve(keras.callbacks.Callback):
    """Adds a value that falls with the epochs and is least at x = 0.3."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def on_epoch_end(self, epoch, logs=None):
        logs["v"] = curve(self.x, epoch)


class Curves(keras_tuner.HyperModel):
    """Trials whose `v` is known from x and the epoch."""

    def build(self, hp):
        hp.Float("x", 0.0, 1.0)
        return tiny(hp)

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        curve = Curve(hp.get("x"))
        return model.fit(*args, callbacks=[curve, *callbacks], **kwargs)


class Deadly(Curves):
    """Kills its process where x is below 0.3, and raises above 0.7.

    Args:
        marks: Folder of a file for each death, to die once; `None` to die
            always.
    """

    def __init__(self, marks=None):
        super().__init__()
        self.marks = marks

    def fit(self, hp, model, *args, **kwargs):
        x = hp.get("x")
        if x > 0.7:
            raise ArithmeticError("too large")
        mark = Path(self.marks or ".", f"{x}.died")
        if x < 0.3 and not mark.exists():
            if self.marks is not None:
                mark.touch()
            os._exit(9)
        return super().fit(hp, model, *args, **kwargs)


class Alone(Curves):
    """Fails where a process has trained a model before."""

    count = 0

    def fit(self, hp, model, *args, **kwargs):
        Alone.count += 1
        if Alone.count > 1 or "distributed" in sys.modules:
            raise ArithmeticError("not alone")
        return super().fit(hp, model, *args, **kwargs)


def random_oracle(objective="val_loss", trials=4, seed=5, **options):
    return keras_tuner.oracles.RandomSearchOracle(
        objective, max_trials=trials, seed=seed, **options
    )


def lowest(name):
    return keras_tuner.Objective(name, "min")


def curves(trials=12, seed=5):
    return Curves(), random_oracle(lowest("v"), trials, seed)


def summarize_trials(oracle):
    """Values, status, score and last step of each trial."""
    return {
        name: (
            trial.hyperparameters.values,
            trial.status,
            trial.score and float(trial.score),
            trial.best_step,
        )
        for name, trial in sorted(oracle.trials.items())
    }
