"""Adds up what a training costs while the model changes its size."""

from typing import Any

import keras

from keras_netopt.checks import check_integer
from keras_netopt.cost.summary import summarize
from keras_netopt.training.layers import walk_layers

PASSES = 3  # Forward, and backward for the weights and for the inputs.


class MacCounter:
    """Counts the multiply-accumulates that a training has spent.

    Each sample costs three times the MACs of one forward pass through the
    model as it was at that step: one pass forward, two backward. The samples
    are those that Keras' own loss metric has seen, so batches of any size
    count, the last one of an epoch too; validation does not. Blocks that
    training drops count at their rates of the epoch's begin.

    Example:

    >>> counter = MacCounter()
    >>> counter.add(samples=10, macs=100)
    >>> counter.spent
    3000

    Args:
        spent: MACs spent already. Defaults to `0`.
    """

    def __init__(self, spent: int = 0) -> None:
        self.spent = int(spent)
        self._macs: int | None = None
        self._seen = 0
        self._open = False

    def add(self, *, samples: int, macs: int) -> None:
        """Books samples that went through a model of a certain size.

        Args:
            samples: Number of training samples, each time it was seen.
            macs: Multiply-accumulates of one forward pass of one sample.
        """
        self.spent += PASSES * samples * macs

    def begin_epoch(self, model: keras.Model) -> None:
        """Starts counting; Keras has just reset its metrics."""
        self._open = True
        self._seen = 0
        if self._macs is None or _has_shares(model):
            self.measure(model)

    def measure(self, model: keras.Model) -> None:
        """Takes the size of the model from now on."""
        self._macs = summarize(model, training=True).macs

    def settle(self, model: keras.Model) -> None:
        """Books what was trained since the last call; may be called twice.

        Args:
            model: The model, whose variables can be read (see `sync`).
        """
        if not self._open:
            return
        metric = loss_metric(model)
        if metric is None or self._macs is None:
            return
        seen = round(float(keras.ops.convert_to_numpy(metric.count)))
        self.add(samples=max(0, seen - self._seen), macs=self._macs)
        self._seen = max(seen, self._seen)

    def end_epoch(self, model: keras.Model) -> None:
        """Books the rest of an epoch, before validation resets the metrics."""
        self.settle(model)
        self._open = False


def matched_epochs(spent: int, model: keras.Model, *, samples: int) -> float:
    """Tells how many epochs another model may train for the same MACs.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> matched_epochs(168_000, model, samples=70)
    2.0

    Args:
        spent: Training MACs to spend, as `ComputeTracker.spent()` counts them.
        model: A built model of fixed size.
        samples: Training samples an epoch, at least 1.

    Returns:
        The number of epochs, seldom a whole one.

    Raises:
        TypeError: If `spent` or `samples` is not an integer.
        ValueError: If one of them is out of range, or no layer of the model
            has MACs that can be counted.
    """
    check_integer(spent, "spent", minimum=0)
    check_integer(samples, "samples", minimum=1)
    macs = summarize(model).macs
    if not macs:
        raise ValueError(
            "A model without countable MACs may train for ever: pass one with "
            "layers that `cost.summarize(model)` can count. "
            f"Received: model={model.name!r}"
        )
    return spent / (PASSES * samples * macs)


def _has_shares(model: keras.Model) -> bool:
    """Whether the cost of a pass depends on scheduled variables."""
    return any(hasattr(one, "netopt_shares") for one in walk_layers(model))


def loss_metric(model: keras.Model) -> Any:
    """Returns the metric in which Keras counts training samples, or `None`."""
    for metric in model.metrics:
        if metric.name == "loss" and hasattr(metric, "count"):
            return metric
    return None
