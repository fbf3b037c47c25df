"""The channel graph: which axes of which variables are coupled."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layer_paths import (
    describe_operation,
    find_by_name,
    index_operations,
)
from keras_netopt.graph.layers import sublayers
from keras_netopt.graph.model_graph import has_graph, is_graph_model
from keras_netopt.surgery.channels.channel_graph_builder import (
    ChannelGraphBuilder,
)
from keras_netopt.surgery.channels.coupling_report import (
    CouplingReport,
    make_coupling_report,
)
from keras_netopt.surgery.channels.layer_groups import (
    LayerGroup,
    collect_layer_groups,
    producer_path,
)
from keras_netopt.surgery.channels.unchanged_layers import with_remedy
from keras_netopt.surgery.coupled_axis import UnsupportedLayer

WRAPPERS = (
    keras.layers.Bidirectional,
    keras.layers.TimeDistributed,
    keras.layers.SpectralNormalization,
)


class ChannelGraph(ChannelGraphBuilder):
    """The coupled channels of a model (its dependency graph).

    Every channel of every tensor is a unit. Units that an addition, a
    depthwise convolution or another layer couples form a channel group, which
    is removed or copied as a whole. Each axis of a variable that is coupled to
    units has a role: `"out"` if it makes the units, `"in"` if it takes them
    as input, `"pass"` for one parameter per unit, as in normalization. Groups
    that must not change are protected, each with a reason.

    The graph describes the current model; build a new one after an edit.

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
    hidden: 3 units, 3 groups
    layer    variable   axis   role
    hidden   kernel        1   out
    hidden   bias          0   out
    out      kernel        0   in

    Args:
        model: A built Functional or Sequential model.

    Attributes:
        model: The model.
        coupled_axes: Every axis of a variable that is coupled to units.
        group_of: The group of each unit.
        group_count: Number of groups.
        protected: Why a group must not change, by group.
        not_replicable: Why a group may be removed but not copied, by group.
        normalized_by: By group, the normalization that mixes it with others:
            its removal changes the outputs, and only copies of all its units
            preserve them.
        producers: The units that a layer makes, in channel order. The key is
            the layer, or `(layer, kind)` for units of another kind, such as
            the `"value_size"` of an attention layer, whose default units are
            its heads.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If the model has no graph: it is subclassed or unbuilt.
    """

    def __init__(self, model: keras.Model) -> None:
        _check(model)
        self._paths = index_operations(model)
        self._sets: tuple[LayerGroup, ...] | None = None
        try:
            super().__init__(model)
        except UnsupportedLayer as error:
            raise ValueError(
                f"The model '{model.name}' is subclassed, and its `call` "
                f"{error}. Build it with `keras.Model(inputs, outputs)`; a "
                "class with a `train_step` of its own can be built that way "
                "if it does not override `__init__` and `call`: "
                "`Mine(inputs, outputs)`. "
                f"Received: model={type(model).__name__}"
            ) from error

    def path(self, layer: Any) -> str:
        """Returns the path of a layer: the names on the way, joined by "/".

        Args:
            layer: A layer or op of the model, or a key of `producers`.

        Returns:
            The path, which `find` accepts; for `(layer, kind)` that of the
            layer.
        """
        if isinstance(layer, tuple):
            layer = layer[0]
        return self._paths[id(layer)][0]

    def layers(self) -> Iterator[tuple[str, Any]]:
        """Yields path and layer of every layer; the model last, as its name."""
        for path, one in self._paths.values():
            if isinstance(one, keras.Layer):
                yield path, one
        yield self.model.name, self.model

    def obstacle(self, layer: Any) -> str:
        """Describes why a layer, or one around it, cannot be traced.

        Args:
            layer: A layer of the model.

        Returns:
            The reason, "" if there is none.
        """
        around = {path: one for path, one in self._paths.values()}
        path = self._paths[id(layer)][0] if layer is not self.model else ""
        while path:
            one = around[path]
            reason = self.unsupported_reason(one).partition(", which ")[2]
            if reason and one is not layer:
                return f"is inside {describe_operation(one)}, which {reason}"
            if reason:
                return reason
            path = path.rpartition("/")[0]
        return ""

    def producer_keys(self, layer: Any) -> list[Any]:
        """Returns the keys of `producers` of a layer."""
        return [
            key
            for key in self.producers
            if (key[0] if isinstance(key, tuple) else key) is layer
        ]

    def couplings(self) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        """Yields two arrays of coupled units and the call that couples them."""
        for (one, other), name in zip(
            self._pairs, self._pair_names, strict=True
        ):
            yield one, other, name

    def find(self, layer: Any) -> Any:
        """Finds a layer of the model.

        Args:
            layer: Its name, its path ("encoder/conv") or the layer object.

        Returns:
            The layer.

        Raises:
            ValueError: If no layer, or more than one, has the name.
        """
        if isinstance(layer, str):
            known = {path: one for path, one in self._paths.values()}
            return find_by_name(layer, self.model.name, known)
        if id(layer) in self._paths:
            return layer
        raise ValueError(
            f"Layer '{getattr(layer, 'name', layer)}' is not part of the "
            f"model '{self.model.name}'. Received: layer={layer!r}"
        )

    def units(self, layer: Any, kind: str = "") -> np.ndarray:
        """Returns the groups of a layer's units, in channel order.

        Args:
            layer: A layer, or its name or path, or a key of `producers`.
            kind: Kind of units, for layers with several kinds. Defaults to
                `""`.

        Returns:
            The group of each unit.

        Raises:
            ValueError: If the layer makes no such units.
        """
        return self.group_of[self.producers[self.producer(layer, kind)]]

    def normalized_together(self) -> list[np.ndarray]:
        """Returns the groups that each normalization computes over."""
        marks = self._marks["normalized_by"]
        return [np.unique(self.group_of[ids]) for ids, _ in marks]

    def normalizers(self, groups: np.ndarray) -> set[str]:
        """Returns the normalizations that compute over some groups."""
        return {
            text
            for ids, text in self._marks["normalized_by"]
            if np.isin(self.group_of[ids], groups).any()
        }

    def layer_groups(self) -> tuple[LayerGroup, ...]:
        """Returns the layers with common channel groups."""
        if self._sets is None:
            self._sets = collect_layer_groups(self)
        return self._sets

    def layer_group(self, layer: Any, kind: str = "") -> LayerGroup:
        """Returns the layer group of a layer.

        Args:
            layer: A layer, or its name or path, or a key of `producers`.
            kind: As in `units`.

        Returns:
            The layer group.

        Raises:
            ValueError: If the layer makes no such units.
        """
        key = self.producer(layer, kind)
        return next(s for s in self.layer_groups() if key in s.layers)

    def explain(self, layer: Any, kind: str = "") -> CouplingReport:
        """Lists the variables that are coupled to a layer.

        Args:
            layer: A layer, or its name or path, or a key of `producers`.
            kind: As in `units`.

        Returns:
            A report to print, with the reasons against an edit.

        Raises:
            ValueError: If the layer makes no such units.
        """
        return make_coupling_report(self, self.producer(layer, kind))

    def producer(self, layer: Any, kind: str = "") -> Any:
        """Returns the key of `producers` that makes a layer's units.

        Args:
            layer: A layer, or its name or path, or a key of `producers`. A
                wrapper stands for the layer inside it.
            kind: As in `units`.

        Returns:
            The key: a layer, or a layer and the kind of its units.

        Raises:
            ValueError: If the layer makes no such units.
        """
        if isinstance(layer, tuple):
            layer, kind = layer
        found = _inner(self.find(layer))
        key = (found, kind) if kind else found
        if key in self.producers:
            return key
        obstacle = self.obstacle(found)
        if obstacle:
            raise ValueError(
                f"{describe_operation(found)} cannot be changed: it "
                f"{with_remedy(obstacle)}. Received: "
                f"layer={self.path(found)!r}"
            )
        kinds = [
            k[1]
            for k in self.producers
            if isinstance(k, tuple) and k[0] is found
        ]
        path = self.path(found)
        parts = [
            producer_path(self, k)
            for k in self.producers
            if self.path(k).startswith(f"{path}/")
        ]
        remedy = f"; its kinds are {kinds}" if kinds else ""
        called = (id(call.operation) for call in self.calls)
        if parts and not kinds:
            remedy = f"; name a layer inside it: {parts[:5]}"
        elif not self.producer_keys(found) and id(found) not in called:
            remedy = f", because a call of '{self.model.name}' does not use it"
        raise ValueError(
            f"{describe_operation(found)} makes no "
            f"{f'units of the kind {kind!r}' if kind else 'units of its own'}"
            f"{remedy}. Received: layer={path!r}"
        )


def _inner(layer: Any) -> Any:
    """Returns the layer inside a wrapper."""
    while isinstance(layer, WRAPPERS):
        layer = getattr(layer, "forward_layer", None) or layer.layer
    return layer


def _check(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Argument `model` must be a `keras.Model`. Received: model={model}"
        )
    is_graph = is_graph_model(model)
    if has_graph(model) if is_graph else model.built and model.weights:
        return
    parts = [one for one in sublayers(model) if is_graph_model(one)]
    remedy = "Call it on data, or call `model.build(input_shape)`"
    if model.built and not is_graph:
        # `build` of Keras says so of a model that has none of its own.
        remedy = "`model.build` made no weights: call a new instance on data"
    if parts and not is_graph:
        listed = ", ".join(f"'{one.name}'" for one in parts)
        remedy += f", or edit its parts: {listed}"
    raise ValueError(
        f"The model '{model.name}' is not built, so its channels are "
        f"unknown. {remedy}. Received: model={type(model).__name__}"
    )
