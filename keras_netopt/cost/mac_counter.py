"""Counts the training MACs of a model whose size may change."""

from typing import Any

import keras

from keras_netopt.checks import check_integer
from keras_netopt.cost.summarize import summarize
from keras_netopt.graph.layers import walk_layers

PASSES = 3  # Forward, and backward for the weights and for the inputs.


class MacCounter:
    """Counts the multiply-accumulates (MACs) spent on training.

    Each sample costs three times the MACs of a forward pass of the model at
    that step: one forward and two backward passes. Samples are counted by
    Keras' loss metric, so partial batches count correctly and validation
    does not count. Blocks that are dropped in training count with their
    execution rates at the beginning of the epoch.

    Example:

    >>> counter = MacCounter()
    >>> counter.add(samples=10, macs=100)
    >>> counter.spent
    3000

    Args:
        spent: Training MACs spent before. Defaults to `0`.
    """

    def __init__(self, spent: int = 0) -> None:
        self.spent = int(spent)
        self._macs: int | None = None
        self._seen = 0
        self._open = False

    def add(self, *, samples: int, macs: int) -> None:
        """Adds the training MACs of some samples.

        Args:
            samples: Number of training samples, counted at every use.
            macs: MACs of the forward pass of one sample.
        """
        self.spent += PASSES * samples * macs

    def begin_epoch(self, model: keras.Model) -> None:
        """Starts counting, after Keras has reset its metrics."""
        self._open = True
        self._seen = 0
        if self._macs is None or _has_execution_rates(model):
            self.measure(model)

    def measure(self, model: keras.Model) -> None:
        """Counts the MACs per sample of a model that has changed."""
        self._macs = summarize(model, training=True).macs

    def update(self, model: keras.Model) -> None:
        """Adds the samples trained since the last call.

        Args:
            model: The model, with readable variables (see `sync`).
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
        """Adds the rest of an epoch, before validation resets the metrics."""
        self.update(model)
        self._open = False


def matched_epochs(spent: int, model: keras.Model, *, samples: int) -> float:
    """Returns the number of epochs that equal some training MACs.

    Use it to train another model with the same compute.

    Example:

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> matched_epochs(168_000, model, samples=70)
    2.0

    Args:
        spent: Training MACs, as returned by `ComputeTracker.spent()`.
        model: A built model of constant size.
        samples: Training samples per epoch, at least 1.

    Returns:
        The number of epochs, as a fraction.

    Raises:
        TypeError: If `spent` or `samples` is not an integer.
        ValueError: If one of them is out of range, or the model has no
            countable MACs.
    """
    check_integer(spent, "spent", minimum=0)
    check_integer(samples, "samples", minimum=1)
    macs = summarize(model).macs
    if not macs:
        raise ValueError(
            "Argument `model` must have countable MACs: see "
            "`cost.summarize(model)`. "
            f"Received: model={model.name!r} with 0 MACs"
        )
    return spent / (PASSES * samples * macs)


def _has_execution_rates(model: keras.Model) -> bool:
    """Whether the MACs of a pass depend on execution rates."""
    return any(
        hasattr(one, "netopt_execution_rates") for one in walk_layers(model)
    )


def loss_metric(model: keras.Model) -> Any:
    """Returns the metric in which Keras counts training samples, or `None`."""
    for metric in model.metrics:
        if metric.name == "loss" and hasattr(metric, "count"):
            return metric
    return None
