"""The shapes and plain attributes of layers, as data for a saved config."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.layers import own_variables, walk_layers
from keras_netopt.graph.model_graph import has_graph
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.graph.resize import resize_tensor
from keras_netopt.training.replace_value import replace_value

_NOT_PLAIN = object()
# An InputSpec is its arguments.
_SPEC = tuple(
    "dtype shape ndim max_ndim min_ndim axes allow_last_axis_squeeze optional "
    "name".split()
)
Record = dict[str, Any]


@dataclass(frozen=True)
class LayerFacts:
    """What an edit may change in one layer, apart from values of weights.

    Args:
        layer: The layer.
        shapes: Shape of each of its own weights.
        attributes: Its plain attributes, encoded.
        tensors: Shapes of the symbolic tensors inside a graph model.
    """

    layer: Any
    shapes: list[list[int]]
    attributes: dict[str, Any]
    tensors: list[list[int | None]]

    @classmethod
    def of(cls, layer: Any) -> "LayerFacts":
        """Reads the facts of one layer."""
        encoded = {
            name: encode(value)
            for name, value in vars(layer).items()
            if not name.startswith(("_netopt", "_self_"))
        }
        return cls(
            layer,
            [list(v.shape) for v in own_variables(layer)],
            {k: v for k, v in encoded.items() if v is not _NOT_PLAIN},
            [list(tensor.shape) for tensor in _tensors(layer)],
        )

    def changes(self, before: "LayerFacts") -> Record:
        """Returns what differs from the facts before an edit, JSON-safe."""
        attributes = {
            name: value
            for name, value in self.attributes.items()
            if before.attributes.get(name, _NOT_PLAIN) != value
        }
        changed: Record = {
            "shapes": self.shapes if self.shapes != before.shapes else None,
            "attributes": attributes,
            "tensors": self.tensors if self.tensors != before.tensors else None,
        }
        return {name: value for name, value in changed.items() if value}


def list_facts(owner: Any) -> list[LayerFacts]:
    """Reads the facts of a layer and of all layers inside it, in order."""
    return [LayerFacts.of(layer) for layer in walk_layers(owner)]


def find_changes(
    before: Iterable[LayerFacts], after: Iterable[LayerFacts]
) -> dict[str, Record]:
    """Returns the changes of each layer by its place, JSON-safe.

    The class of the layer is recorded with it, to find out later whether the
    place is still that of the same layer.
    """
    found = {}
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        changed = new.changes(old)
        if changed:
            name = type(new.layer).__name__
            found[str(place)] = {"class": name, **changed}
    return found


def apply_changes(owner: Any, record: dict[str, Record]) -> None:
    """Gives the layers of a newly built object the recorded shapes.

    Weights whose shape changes get initial values. Raises ValueError if the
    layers are not those of the record.
    """
    layers = list(walk_layers(owner))
    for place, changed in record.items():
        layer = layers[int(place)] if int(place) < len(layers) else None
        if type(layer).__name__ != changed["class"]:
            raise ValueError(
                f"Layer {place} of '{owner.name}' must be a "
                f"{changed['class']}, as when the model was edited. Its class "
                "has changed since: load the file with the code that saved it. "
                f"Received: {layer!r}"
            )
        _apply(layer, changed)


def _apply(layer: Any, changed: Record) -> None:
    variables, tensors = own_variables(layer), _tensors(layer)
    shapes = changed.get("shapes") or [list(v.shape) for v in variables]
    symbolic = changed.get("tensors") or [list(t.shape) for t in tensors]
    if len(shapes) != len(variables) or len(symbolic) != len(tensors):
        raise ValueError(
            f"Layer '{layer.name}' must have {len(shapes)} weights of its own "
            f"and {len(symbolic)} tensors, as when the model was edited. "
            "Its class has changed since: load the file with the code that "
            f"saved it. Received: {len(variables)} and {len(tensors)}"
        )
    for variable, shape in zip(variables, shapes, strict=True):
        if list(variable.shape) != shape:
            replace_value(variable, _initial_value(layer, variable, shape))
    for name, value in changed.get("attributes", {}).items():
        vars(layer)[name] = decode(value)
    for tensor, shape in zip(tensors, symbolic, strict=True):
        resize_tensor(tensor, shape)


def _tensors(layer: Any) -> list[Any]:
    if not has_graph(layer):
        return []
    return [one for call in list_calls(layer) for one in call.outputs]


def _initial_value(layer: Any, variable: Any, shape: list[int]) -> Any:
    """Values from the layer's initializer, else drawn from the old values."""
    initializer = getattr(layer, f"{variable.name}_initializer", None)
    if isinstance(initializer, keras.initializers.Initializer):
        try:
            value = initializer(tuple(shape), dtype=variable.dtype)
            return np.asarray(ops.convert_to_numpy(value))
        # The initializer of a user may reject a shape with any error.
        except Exception:
            pass
    old = np.asarray(ops.convert_to_numpy(variable)).reshape(-1)
    if not old.size:
        return np.zeros(shape, old.dtype)
    # Python's generator is the one that `keras.utils.set_random_seed` seeds.
    return np.random.default_rng(random.getrandbits(32)).choice(old, shape)


def encode(value: Any) -> Any:
    """Encodes a plain value for JSON; `_NOT_PLAIN` if it is none."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.integer | np.floating):
        return value.item()
    if isinstance(value, keras.InputSpec):
        spec = {name: getattr(value, name, None) for name in _SPEC}
        return _tagged("spec", [encode(one) for one in spec.values()])
    if isinstance(value, dict):
        parts = [encode(one) for pair in value.items() for one in pair]
        return _tagged("dict", parts)
    if type(value) is tuple or isinstance(value, list):
        kind = "tuple" if type(value) is tuple else "list"
        return _tagged(kind, [encode(one) for one in value])
    return _NOT_PLAIN


def _tagged(kind: str, parts: list[Any]) -> Any:
    is_plain = all(part is not _NOT_PLAIN for part in parts)
    return {kind: parts} if is_plain else _NOT_PLAIN


def decode(value: Any) -> Any:
    """Decodes the result of `encode`."""
    if not isinstance(value, dict):
        return value
    ((kind, parts),) = value.items()
    parts = [decode(part) for part in parts]
    if kind == "spec":
        return keras.InputSpec(**dict(zip(_SPEC, parts, strict=True)))
    if kind == "dict":
        return dict(zip(parts[::2], parts[1::2], strict=True))
    return tuple(parts) if kind == "tuple" else parts
