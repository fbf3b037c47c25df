"""Small searches whose curves are known; imported by worker processes."""

import os
import sys
from pathlib import Path

import keras
import keras_tuner
import numpy as np

X = np.linspace(-1.0, 1.0, 16, dtype="float32")[:, None]
Y = (X > 0).astype("int32")


def tiny(hp, rate=0.1):
    """A model of two weights; eager, for nothing to compile."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(
        keras.optimizers.SGD(rate), "mse", metrics=["mae"], run_eagerly=True
    )
    return model


def build(hp):
    """What most users write."""
    return tiny(hp, hp.Float("rate", 1e-3, 0.5, sampling="log"))


class Curve(keras.callbacks.Callback):
    """Adds a value that falls with the epochs and is least at x = 0.3."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def on_epoch_end(self, epoch, logs=None):
        logs["v"] = (self.x - 0.3) ** 2 + 1.0 / (epoch + 1)


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
