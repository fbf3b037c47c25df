"""The last layers of a network, its loss and its metrics."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_choice, check_integer

TASKS = ("classification", "regression")
IMAGE_TASKS = (*TASKS, "detection")


@dataclass(frozen=True)
class Head:
    """Outputs of a task.

    Args:
        task: "classification": logits of `outputs` classes, for integer
            labels. "regression": `outputs` numbers. "detection": a dict of
            the logits "class" and of "box", four numbers in [0, 1].
        outputs: Number of classes or numbers.
        pool: Whether to average over all axes between the batch and the
            features. Defaults to `True`.
    """

    task: str
    outputs: int
    pool: bool = True

    def connect(self, features: Any) -> Any:
        """Returns the outputs of a feature map, sequence or vector."""
        if self.task != "detection":
            return _dense(self._pooled(features), self.outputs, "output")
        # The position is lost where the map is averaged.
        flat = keras.layers.Flatten(name="box_flatten")(features)
        return {
            "class": _dense(self._pooled(features), self.outputs, "class"),
            "box": _dense(flat, 4, "box", "sigmoid"),
        }

    def compile(self, model: keras.Model, learning_rate: float) -> None:
        """Compiles with Adam and the loss of the task."""
        classes = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        loss, metrics, weights = {
            "classification": (classes, ["accuracy"], None),
            "regression": ("mse", ["mae"], None),
            "detection": (
                {"class": classes, "box": "mse"},
                {"class": ["accuracy"], "box": ["mae"]},
                {"class": 1.0, "box": 10.0},
            ),
        }[self.task]
        model.compile(
            keras.optimizers.Adam(learning_rate),
            loss,
            metrics=metrics,
            loss_weights=weights,
        )

    def _pooled(self, features: Any) -> Any:
        rank = len(features.shape)
        if not self.pool or rank == 2:
            return features
        layers = keras.layers
        layer = {3: layers.GlobalAveragePooling1D}.get(
            rank, layers.GlobalAveragePooling2D
        )
        return layer(name="pool")(features)


def check_head(
    task: str, outputs: int, *, image: bool = False, pool: bool = True
) -> Head:
    """Returns the head of checked arguments."""
    check_choice(task, "task", IMAGE_TASKS if image else TASKS)
    least = 1 if task == "regression" else 2
    return Head(task, check_integer(outputs, "outputs", minimum=least), pool)


def _dense(x: Any, units: int, name: str, activation: str | None = None) -> Any:
    # Outputs stay float32 under mixed precision.
    return keras.layers.Dense(
        units, activation=activation, dtype="float32", name=name
    )(x)
