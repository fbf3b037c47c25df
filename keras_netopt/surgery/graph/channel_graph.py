"""The channel graph: which axes of which variables share their channels.

Private name of Keras 3.15: `Functional._nodes_by_depth`.
"""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph import names
from keras_netopt.surgery.graph.groups import (
    Group,
    LayerSet,
    collect_sets,
    make_group,
)
from keras_netopt.surgery.graph.names import (
    describe,
    functional,
    layer_paths,
    nodes,
)
from keras_netopt.surgery.graph.tracing import Trace
from keras_netopt.surgery.graph.units import IN, OUT, PASS, Binding, Label
from keras_netopt.training.graph import is_graph_model

__all__ = [
    "IN",
    "OUT",
    "PASS",
    "Binding",
    "ChannelGraph",
    "Label",
    "functional",
    "layer_paths",
    "nodes",
]


WRAPPERS = (keras.layers.Bidirectional, keras.layers.TimeDistributed)


class ChannelGraph(Trace):
    """Which channels of a model can only be cut or copied together.

    Every channel of every tensor is a unit; units that an addition, a
    depthwise convolution or the like ties together form a class. Each axis of
    a variable that carries units is bound to them as their maker (`"out"`),
    their reader (`"in"`) or a parameter on the way (`"pass"`). Classes that
    must not change are protected, and the reason is kept.

    The graph describes the model as it is; build a new one after an edit.

    Example:

    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> graph = ChannelGraph(model)
    >>> graph.units("hidden")
    array([4, 5, 6])
    >>> print(graph.explain("hidden"))
    hidden: 3 units, 3 classes
    layer    variable   axis   role
    hidden   kernel        1   out
    hidden   bias          0   out
    out      kernel        0   in

    Args:
        model: A built Functional or Sequential model.

    Attributes:
        model: The model.
        bindings: Every bound axis of a variable.
        class_of: The class of each unit.
        class_count: Number of classes.
        reasons: Why a class is protected, by class.
        rigid: Why a class may be removed but not replicated, by class.
        normed: By class, the normalization that mixes it with others: a
            removal is not exact then, and growth only by an equal multiple
            of all its units.
        producers: The units that a layer makes, in channel order. The key is
            the layer, or `(layer, kind)` for units of another kind, such as
            the `"value_size"` of an attention layer, whose plain units are
            its heads.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If the model has no graph: it is subclassed or unbuilt.
    """

    def __init__(self, model: keras.Model) -> None:
        _check(model)
        self._paths = names.paths(model)
        self._sets: tuple[LayerSet, ...] | None = None
        super().__init__(model)

    def path(self, layer: Any) -> str:
        """The names that lead to a layer, joined with "/".

        Args:
            layer: A layer or op of the model, or a key of `producers`.

        Returns:
            A text that `find` takes; for `(layer, kind)` that of the layer.
        """
        if isinstance(layer, tuple):
            layer = layer[0]
        return self._paths[id(layer)][0]

    def find(self, layer: Any) -> Any:
        """Finds a layer of the model.

        Args:
            layer: Its name, the names that lead to it joined with "/", or
                the layer itself.

        Returns:
            The layer.

        Raises:
            ValueError: If there is none, or several share the name.
        """
        if isinstance(layer, str):
            known = {path: one for path, one in self._paths.values()}
            return names.find(layer, self.model.name, known)
        if id(layer) in self._paths:
            return layer
        raise ValueError(
            f"Layer '{getattr(layer, 'name', layer)}' is not part of the "
            f"model '{self.model.name}'. Received: layer={layer!r}"
        )

    def units(self, layer: Any, kind: str = "") -> np.ndarray:
        """The classes of a layer's units, in channel order.

        Args:
            layer: A layer, or its name or path, or a key of `producers`.
            kind: Which units, where a layer makes several kinds. Defaults
                to `""`.

        Returns:
            The class of unit k at place k.

        Raises:
            ValueError: If the layer makes no such units.
        """
        return self.class_of[self.producers[self._producer(layer, kind)]]

    def normed_together(self) -> list[np.ndarray]:
        """The classes that each normalization computes one figure over."""
        marks = self._marks["normed"]
        return [np.unique(self.class_of[ids]) for ids, _ in marks]

    def normalizers(self, classes: np.ndarray) -> set[str]:
        """The normalizations that compute one figure over some classes."""
        return {
            text
            for ids, text in self._marks["normed"]
            if np.isin(self.class_of[ids], classes).any()
        }

    def layer_sets(self) -> tuple[LayerSet, ...]:
        """The layers grouped by the classes that they share."""
        if self._sets is None:
            self._sets = collect_sets(self)
        return self._sets

    def set_of(self, layer: Any, kind: str = "") -> LayerSet:
        """The set that a layer belongs to.

        Args:
            layer: A layer, or its name or path, or a key of `producers`.
            kind: As in `units`.

        Returns:
            The set.

        Raises:
            ValueError: If the layer makes no such units.
        """
        key = self._producer(layer, kind)
        return next(s for s in self.layer_sets() if key in s.layers)

    def explain(self, layer: Any, kind: str = "") -> Group:
        """What has to change with a layer, to be printed.

        Args:
            layer: A layer, or its name or path, or a key of `producers`.
            kind: As in `units`.

        Returns:
            Each coupled axis of a variable, and each reason against a change.

        Raises:
            ValueError: If the layer makes no such units.
        """
        return make_group(self, self._producer(layer, kind))

    def _producer(self, layer: Any, kind: str) -> Any:
        if isinstance(layer, tuple):
            layer, kind = layer
        found = _inner(self.find(layer))
        key = (found, kind) if kind else found
        if key in self.producers:
            return key
        if id(found) in self._failed:
            why = f"it {self._failed[id(found)][1]}"
            raise ValueError(
                f"{describe(found)} cannot be changed: {why}. "
                f"Received: layer={self.path(found)!r}"
            )
        kinds = [k[1] for k in self.producers if k == (found, _kind(k))]
        remedy = f"; its kinds are {kinds}" if kinds else ""
        raise ValueError(
            f"{describe(found)} makes no "
            f"{f'units of the kind {kind!r}' if kind else 'units of its own'}"
            f"{remedy}. Received: layer={self.path(found)!r}"
        )


def _inner(layer: Any) -> Any:
    """The layer that makes the units of a wrapper."""
    while isinstance(layer, WRAPPERS):
        layer = getattr(layer, "forward_layer", None) or layer.layer
    return layer


def _check(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Argument `model` must be a `keras.Model`. Received: model={model}"
        )
    if not is_graph_model(model):
        raise ValueError(
            f"The model '{model.name}' is subclassed: it has no graph of "
            "layers to read channels from. Build it with "
            "`keras.Model(inputs, outputs)` or `keras.Sequential`. "
            f"Received: model={type(model).__name__}"
        )
    if not hasattr(functional(model), "_nodes_by_depth"):
        raise ValueError(
            f"The model '{model.name}' is not built: its channels are not "
            "known yet. Call it on data, or call `model.build(input_shape)`. "
            f"Received: model={type(model).__name__}"
        )


def _kind(key: Any) -> Any:
    return key[1] if isinstance(key, tuple) else None
