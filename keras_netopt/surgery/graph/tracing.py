"""Follows the calls of a model and notes what ties its channels.

Private names of Keras 3.15: `Functional._outputs`,
`KerasTensor._keras_history`.
"""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.names import describe, functional, nodes
from keras_netopt.surgery.graph.units import (
    Binding,
    Label,
    Unsupported,
    connected,
)
from keras_netopt.surgery.handlers import lookup
from keras_netopt.surgery.handlers.common import refuse_adapters


class Trace:
    """What handlers are given: the labels of tensors, and what is bound.

    Args:
        model: A built Functional or Sequential model.

    Attributes:
        model: The model.
        bindings: Every bound axis of a variable.
        class_of: The class of each unit.
        class_count: Number of classes.
        reasons: Why a class is protected, by class.
        rigid: Why a class may be removed but not replicated, by class.
        normed: By class, the normalization that mixes it with others.
        producers: The units that a layer makes, in channel order.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.producers: dict[Any, np.ndarray] = {}
        self._count = 0
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._bound: dict[tuple[int, int], Binding] = {}
        self._axes: dict[int, tuple[Any, dict[int, np.ndarray], str]] = {}
        self._kept: list[Any] = []
        self._flat: set[int] = set()
        self._tied: dict[Any, np.ndarray] = {}
        self._minted: dict[Any, np.ndarray] = {}
        self._marks: dict[str, list[tuple[np.ndarray, str]]] = {
            "reasons": [],
            "rigid": [],
            "normed": [],
        }
        self._failed: dict[int, tuple[Any, str]] = {}
        self._walked: set[int] = set()
        self.walk(model)
        self._protect_outputs()
        self._finish()

    def axes(self, tensor: Any) -> dict[int, np.ndarray]:
        """The units along each axis of a tensor that carries any."""
        found = self._axes.get(id(tensor))
        return dict(found[1]) if found else {}

    def why(self, tensor: Any) -> str:
        """Why axes of a tensor that carry no units must keep their size."""
        found = self._axes.get(id(tensor))
        return found[2] if found else "has a size that the model fixes"

    def knows(self, tensor: Any) -> bool:
        """Whether a call has reached a tensor yet."""
        return id(tensor) in self._axes

    def mark_flat(self, tensor: Any) -> None:
        """Says that all channels of a tensor are alike."""
        self._kept.append(tensor)
        self._flat.add(id(tensor))

    def is_flat(self, tensor: Any) -> bool:
        """Whether all channels of a tensor are alike."""
        return id(tensor) in self._flat

    def label(self, tensor: Any) -> Label | None:
        """The last axis of a tensor that carries units, `None` without one."""
        axes = self.axes(tensor)
        return Label(max(axes), axes[max(axes)]) if axes else None

    def set_axes(
        self, tensor: Any, axes: dict[int, np.ndarray], *, why: str = ""
    ) -> None:
        """Labels a tensor anew; `why` tells of its other axes."""
        rank = len(tensor.shape)
        axes = {axis % rank: ids for axis, ids in axes.items()}
        for axis, ids in axes.items():
            if tensor.shape[axis] != len(ids):
                raise Unsupported(
                    f"makes a tensor of shape {tensor.shape} of "
                    f"{len(ids)} channels on axis {axis}"
                )
        self._axes[id(tensor)] = (tensor, axes, why or self.why(tensor))

    def set_label(self, tensor: Any, axis: int, ids: np.ndarray) -> None:
        """Labels one axis of a tensor; other labels of it are dropped."""
        self.set_axes(tensor, {axis: ids})

    def new_units(self, layer: Any, count: int, kind: str = "") -> np.ndarray:
        """Makes the units of a layer; another call of it gets the same."""
        ids = self._mint((id(layer), kind), count)
        self.producers.setdefault((layer, kind) if kind else layer, ids)
        return ids

    def channels(
        self, tensor: Any, axis: int, *, alone: bool = True
    ) -> np.ndarray:
        """The units along an axis of a tensor.

        An axis without a label gets units that are protected.

        Args:
            tensor: An input of the layer.
            axis: Which axis.
            alone: Whether no other axis may carry units. Defaults to `True`.

        Returns:
            One id a position.

        Raises:
            Unsupported: If another axis carries units and must not.
        """
        axis %= len(tensor.shape)
        axes = self.axes(tensor)
        if alone and any(other != axis for other in axes):
            raise Unsupported(
                f"works on axis {axis} of a tensor whose channels are on "
                f"axis {next(other for other in axes if other != axis)}"
            )
        if axis in axes:
            return axes[axis]
        if tensor.shape[axis] is None:
            raise Unsupported(f"works on axis {axis}, which has no fixed size")
        key = ("fixed", id(tensor), axis)
        if key not in self._minted:
            self._kept.append(tensor)
            ids = self._mint(key, tensor.shape[axis])
            self.protect(ids, self.why(tensor))
        return self._minted[key]

    def unite(self, one: np.ndarray, other: np.ndarray) -> None:
        """Makes the units at each place of two arrays live and die together."""
        if len(one) != len(other):
            raise Unsupported(f"joins {len(one)} channels with {len(other)}")
        if one is not other:
            self._pairs.append((one, other))

    def bind(
        self,
        layer: Any,
        variable: Any,
        axis: int,
        ids: np.ndarray,
        role: str,
        *,
        fresh: str = "random",
        power: float = 0.0,
    ) -> None:
        """Binds an axis of a variable to units; `None` is no variable."""
        if variable is None:
            return
        axis %= len(variable.shape)
        if variable.shape[axis] != len(ids):
            raise Unsupported(
                f"has {variable.shape[axis]} entries on axis {axis} of "
                f"'{variable.name}' for {len(ids)} channels"
            )
        key = (id(variable), axis)
        if key in self._bound:
            self.unite(self._bound[key].ids, ids)
        else:
            self._bound[key] = Binding(
                layer, variable, axis, ids, role, fresh, power
            )

    def protect(self, ids: np.ndarray, reason: str) -> None:
        """Says that units must stay as they are."""
        self._marks["reasons"].append((ids, reason))

    def mark_normed(self, ids: np.ndarray, layer: Any) -> None:
        """Says that a normalization computes one figure over the units."""
        self._marks["normed"].append((ids, describe(layer)))

    def mark_rigid(self, ids: np.ndarray, reason: str) -> None:
        """Says that units may be removed but not replicated."""
        self._marks["rigid"].append((ids, reason))

    def tie(self, layer: Any, name: str, ids: np.ndarray) -> None:
        """Ties the units of all calls of a layer that one attribute counts."""
        known = self._tied.setdefault((id(layer), name), ids)
        self.unite(known, ids)

    def failure(self, operation: Any) -> str:
        """Why a call of a layer could not be followed, "" if it could."""
        return self._failed.get(id(operation), (None, ""))[1]

    def walk(self, model: Any) -> None:
        """Follows every call inside a model, once for the whole graph."""
        inner = functional(model)
        if id(inner) in self._walked:
            return
        self._walked.add(id(inner))
        for node in nodes(inner):
            if node.is_input:
                for tensor in node.outputs:
                    if not self.knows(tensor):
                        self.set_axes(
                            tensor, {}, why="comes from an input of the model"
                        )
                continue
            self.call(node.operation, node)

    def call(self, operation: Any, node: Any) -> None:
        """Follows one call; what no handler can follow is protected."""
        bound, made = len(self._bound), len(self.producers)
        try:
            refuse_adapters(operation)
            handler = lookup(operation)
            if handler is None:
                raise Unsupported("has no handler")
            handler.bind(self, operation, node)
            return
        except Unsupported as error:
            reason = f"touches {describe(operation)}, which {error}"
        for key in list(self._bound)[bound:]:
            del self._bound[key]
        for key in list(self.producers)[made:]:
            del self.producers[key]
        self._failed.setdefault(id(operation), (operation, reason))
        for tensor in node.input_tensors:
            for ids in self.axes(tensor).values():
                self.protect(ids, reason)
        for tensor in node.outputs:
            self.set_axes(tensor, {}, why=reason)

    def _mint(self, key: Any, count: int) -> np.ndarray:
        if key not in self._minted:
            self._minted[key] = np.arange(self._count, self._count + count)
            self._count += count
        elif len(self._minted[key]) != count:
            raise Unsupported("is called with different numbers of channels")
        return self._minted[key]

    def _protect_outputs(self) -> None:
        """The outputs come first among the reasons."""
        found = []
        for tensor in functional(self.model)._outputs:
            name = tensor._keras_history.operation.name
            reason = f"reaches the output '{name}' of the model"
            found += [(ids, reason) for ids in self.axes(tensor).values()]
        self._marks["reasons"] = found + self._marks["reasons"]

    def _finish(self) -> None:
        """Settles the classes once every call has been followed."""
        for operation, reason in self._failed.values():
            held = {id(v) for v in getattr(operation, "variables", ())}
            for (key, _), binding in self._bound.items():
                if key in held:
                    self.protect(binding.ids, reason)
            for key, ids in self._minted.items():
                if key[0] == id(operation):
                    self.protect(ids, reason)
        self.bindings: tuple[Binding, ...] = tuple(self._bound.values())
        self.class_of = connected(self._count, self._pairs)
        self.class_count = int(self.class_of.max(initial=-1)) + 1
        self.reasons = self._by_class("reasons")
        self.rigid = self._by_class("rigid")
        self.normed = self._by_class("normed")

    def _by_class(self, mark: str) -> dict[int, str]:
        found: dict[int, str] = {}
        for ids, text in self._marks[mark]:
            for one in np.unique(self.class_of[ids]).tolist():
                found.setdefault(one, text)
        return found
