"""Warm starts between plain kernels and weight-normalized ones."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.fine_tuning.normalized_layers import normalization_class
from keras_netopt.graph.layers import walk_layers

NORMS = "norms of the kernel"


class WarmLengths:
    """The lengths g of a model and of its source.

    A direction v is copied as it is if its g is copied too. Else v gets the
    kernel with which the source computes, and g its norms.

    Args:
        model: The model that is started.
        source: The trained model.
        given: The weight of the source for each weight of the model that is
            copied, by `id`.
    """

    def __init__(
        self, model: keras.Model, source: keras.Model, given: dict[int, Any]
    ) -> None:
        self._given = given
        self._layers = _list_normalized(model)
        kernels = [k for one in self._layers for k in one.normalized_kernels()]
        self._kernels = {id(g): v for v, g, _ in kernels}
        self._paired = {id(v) for v, g, _ in kernels if id(g) in given}
        self._theirs = {
            id(v): (g, w)
            for one in _list_normalized(source)
            for v, g, w in one.normalized_kernels()
        }

    def find_kernel(self, variable: Any) -> Any:
        """Returns the weight of the source whose norms a g shall get."""
        v = self._kernels.get(id(variable))
        return None if v is None else self._given.get(id(v))

    def read(self, variable: Any, given: Any) -> tuple[np.ndarray, list[Any]]:
        """Returns the value for a weight, and the source's weights in it."""
        found = self._theirs.get(id(given))
        if found is None or id(variable) in self._paired:
            return np.asarray(ops.convert_to_numpy(given.value)), [given]
        g, w = found
        return np.asarray(ops.convert_to_numpy(w)), [given, g]

    def set_norms(self, wanted: set[int]) -> None:
        """Sets each g whose `id` is wanted to the norms of its new v."""
        for layer in self._layers:
            lengths = [g for _, g, _ in layer.normalized_kernels()]
            if wanted.isdisjoint(map(id, lengths)):
                continue
            held = [ops.convert_to_numpy(g.value) for g in lengths]
            layer.reset_g()
            for g, value in zip(lengths, held, strict=True):
                if id(g) not in wanted:
                    g.assign(value)


def _list_normalized(model: keras.Model) -> list[Any]:
    kind = normalization_class()
    return [one for one in walk_layers(model) if isinstance(one, kind)]
