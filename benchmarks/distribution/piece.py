"""One component, with a small model on which it is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

SAMPLES, BATCH, CLASSES = 64, 16, 3
TRAINED = "trained"
Arrays = Mapping[str, Any]


def data(shape: tuple[int, ...] = (8,)) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes; a model learns them in a few steps."""
    rng = np.random.default_rng(0)
    y = (np.arange(SAMPLES) % CLASSES).astype("int32")
    x = rng.standard_normal((SAMPLES, *shape)).astype("float32")
    x.reshape(SAMPLES, -1)[np.arange(SAMPLES), y] += 2.0
    return x, y


def cross_entropy() -> keras.losses.Loss:
    """Returns the loss of integer classes and logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(model: keras.Model, **changed: Any) -> keras.Model:
    """Compiles without XLA on TensorFlow, which a short run does not need."""
    is_tensorflow = keras.backend.backend() == "tensorflow"
    arguments = {
        "optimizer": keras.optimizers.SGD(0.05, momentum=0.9),
        "loss": cross_entropy(),
        "jit_compile": False if is_tensorflow else "auto",
        **changed,
    }
    model.compile(**arguments)
    return model


def perceptron(**changed: Any) -> keras.Model:
    """Two layers without kinks, in which nothing is near a decision."""
    keras.utils.set_random_seed(7)
    hidden = keras.layers.Dense(16, activation="tanh", name="hidden")
    out = keras.layers.Dense(CLASSES, name="out")
    return compiled(
        keras.Sequential([keras.Input((8,)), hidden, out]), **changed
    )


class _Mark(keras.callbacks.Callback):
    """Leaves a file once a training batch has ended."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 0:
            self.path.touch()


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A component and how it is trained.

    Args:
        name: What the table calls it.
        callbacks: `(model, x, y, folder) -> list` of callbacks, the component
            last.
        model: Makes the compiled model. Defaults to `perceptron`.
        shape: Shape of an input sample.
        epochs: Epochs of `fit`.
        validates: Whether `fit` gets validation data.
        after: `(model, x, y, callbacks) -> arrays`: what is also compared.
    """

    name: str
    callbacks: Callable[[Any, Any, Path], list[Any]] = (
        lambda model, x, y, folder: []
    )
    model: Callable[[], keras.Model] = perceptron
    shape: tuple[int, ...] = (8,)
    epochs: int = 3
    validates: bool = False
    after: Callable[[Any, Any, Any, Any], Arrays] | None = None

    def train(self, model: keras.Model, folder: Path) -> dict[str, np.ndarray]:
        """Trains; returns weights, logs and what `after` adds.

        The file "trained" in the folder says that a batch has ended.
        """
        x, y = data(self.shape)
        callbacks = self.callbacks(model, x, y, folder)
        given = {"x": x, "y": y, "batch_size": BATCH}
        for one in callbacks:
            if hasattr(one, "dataset"):
                given = {"x": one.dataset(BATCH)}
        history = model.fit(
            **given,
            epochs=self.epochs,
            validation_data=(x[::2], y[::2]) if self.validates else None,
            validation_batch_size=BATCH,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, _Mark(folder / TRAINED)],
        ).history
        found: dict[str, Any] = {
            f"weight {i}": keras.ops.convert_to_numpy(variable.value)
            for i, variable in enumerate(model.variables)
        }
        for name, values in history.items():
            if not name.endswith("_seconds"):
                found[f"log {name}"] = values
        if self.after is not None:
            for name, value in self.after(model, x, y, callbacks).items():
                found[f"result {name}"] = value
        return {key: np.array(value) for key, value in found.items()}
