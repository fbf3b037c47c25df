"""Compares the networks of a supernet by the weights that they share."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.output_spec import traced_spec
from keras_netopt.graph.symbolic import to_keras_tensor
from keras_netopt.search.supernet.architecture import (
    check_architecture,
    read_architecture,
)
from keras_netopt.search.supernet.decision import FIXED
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.stateless_forward import compile_stateless

Norm = keras.layers.BatchNormalization
Values = dict[int, Any]
MIN_CALIBRATION = 64


class SubnetEvaluator:
    """Evaluates many networks of one supernet on the same data.

    Two functions are compiled once and serve all networks: one computes the
    moving averages of batch normalization, one the losses and metrics. No
    variable of the model is written.

    Args:
        model: A built and compiled model with searchable layers.
        x: Inputs, arrays.
        y: Targets, arrays.
        calibration_data: Inputs or `(x, y)`, or `None` for the averages that
            the model has.
        batches: Number of calibration batches.
        batch_size: Samples per batch.
        sample_weight: Weights of the samples, an array, or `None`.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Any,
        y: Any,
        *,
        calibration_data: Any = None,
        batches: int = 1,
        batch_size: int = 256,
        sample_weight: Any = None,
    ) -> None:
        self.model = model
        self.decisions = find_decisions(model)
        self._held = [
            one
            for decision in self.decisions.values()
            for one in (decision, *decision.others)
        ]
        self._norms: list[Any] = []
        if calibration_data is not None:
            self._norms = [
                layer
                for layer in walk_layers(model)
                if isinstance(layer, Norm) and layer.trainable
            ]
        self._averages = [
            v
            for one in self._norms
            for v in (one.moving_mean, one.moving_variance)
        ]
        self._state = [v for d in self._held for v in (d.mode, d.active)]
        self._batches = [
            (
                _to_tensors(tuple(p for p in batch if p is not None)),
                _count(batch[1]),
            )
            for batch in iterate_batches(
                (x, y, sample_weight), batch_size=batch_size
            )
        ]
        self._calibration = []
        if self._norms:
            size = max(batch_size, MIN_CALIBRATION)
            self._calibration = [
                _to_tensors(x_batch)
                for x_batch, _, _ in iterate_batches(
                    calibration_data, batch_size=size, samples=size * batches
                )
            ][:batches]
        self._build_metrics()
        self._metrics = model.metrics_variables
        self._calibrate = self._compile(self._average, self._averages)
        self._test = self._compile(
            self._measure, [*self._averages, *self._metrics]
        )

    def evaluate(
        self, architecture: dict[str, int], samples: int | None = None
    ) -> dict[str, float]:
        """Returns the loss and the compiled metrics of one network.

        Args:
            architecture: The network; decisions that it does not name are as
                in the model.
            samples: The batches that hold the first so many samples are used.
                Defaults to `None`: all.
        """
        sync_variables(self.model)
        given = check_architecture(self.decisions, architecture)
        if len(given) < len(self.decisions):
            given = {**read_architecture(self.model), **given}
        state = [
            ops.convert_to_tensor(np.int32(value))
            for one in self._held
            for value in (FIXED, given[one.name])
        ]
        averages = self._recalibrate(state)
        metrics = self._initial_metrics()
        total, count = 0.0, 0
        for batch, size in self._batches:
            if samples is not None and count >= samples:
                break
            values = [*state, *averages, *metrics]
            loss, after = self._test(values, *batch)
            metrics = after[len(state) + len(averages) :]
            total, count = total + loss * size, count + size
        found = self._read_metrics(metrics)
        return {**found, "loss": float(ops.convert_to_numpy(total)) / count}

    def _recalibrate(self, state: list[Any]) -> list[Any]:
        """Returns the averages of a network over the calibration batches."""
        # Variables as arguments would be traced one by one.
        kept = [ops.convert_to_tensor(v) for v in self._averages]
        sums: list[Any] = []
        momenta = [layer.momentum for layer in self._norms]
        try:
            for layer in self._norms:
                layer.momentum = 0.0
            for x in self._calibration:
                _, after = self._calibrate([*state, *kept], x)
                after = after[len(state) :]
                pairs = zip(sums, after, strict=True)
                sums = [a + b for a, b in pairs] if sums else after
        finally:
            for layer, momentum in zip(self._norms, momenta, strict=True):
                layer.momentum = momentum
        return [one / len(self._calibration) for one in sums]

    def _compile(
        self, function: Callable[..., Any], changed: list[Any]
    ) -> Callable[..., tuple[Any, list[Any]]]:
        variables = [*self.model.variables, *self.model.metrics_variables]
        return compile_stateless(function, [*self._state, *changed], variables)

    def _average(self, x: Any) -> Any:
        self.model(x, training=True)
        return ops.zeros(())

    def _measure(self, x: Any, y: Any, weight: Any = None) -> Any:
        model: Any = self.model
        outputs = model(x, training=False)
        loss = model.compute_loss(x, y, outputs, weight, training=False)
        model.compute_metrics(x, y, outputs, weight)
        return ops.cast(loss, "float32")

    def _build_metrics(self) -> None:
        """Makes the variables of the metrics, which the first batch does."""
        x, y, *_ = self._batches[0][0]
        model: Any = self.model
        spec = keras.tree.map_structure(to_keras_tensor, x)
        outputs = keras.tree.map_structure(
            lambda one: ops.zeros(one.shape, one.dtype),
            traced_spec(model, spec),
        )
        before = [np.array(v) for v in _values(model.metrics_variables)]
        model.compute_loss(x, y, outputs, None, training=False)
        model.compute_metrics(x, y, outputs, None)
        if len(before) == len(model.metrics_variables):
            for variable, value in zip(
                model.metrics_variables, before, strict=True
            ):
                variable.assign(value)
        else:
            model.reset_metrics()

    def _initial_metrics(self) -> list[Any]:
        with keras.StatelessScope() as scope:
            self.model.reset_metrics()
        values = [scope.get_current_value(v) for v in self._metrics]
        return [
            ops.convert_to_tensor(v if value is None else value)
            for v, value in zip(self._metrics, values, strict=True)
        ]

    def _read_metrics(self, values: list[Any]) -> dict[str, float]:
        mapping = list(zip(self._metrics, values, strict=True))
        with keras.StatelessScope(mapping):
            found = self.model.get_metrics_result()
        return {
            name: float(ops.convert_to_numpy(value))
            for name, value in found.items()
        }


def _to_tensors(values: Any) -> Any:
    return keras.tree.map_structure(ops.convert_to_tensor, values)


def _count(values: Any) -> int:
    return int(keras.tree.flatten(values)[0].shape[0])


def _values(variables: list[Any]) -> Iterator[Any]:
    return (ops.convert_to_numpy(v) for v in variables)
