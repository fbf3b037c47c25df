"""Builds the twin in tf_keras of a flat graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.export.rebuild_error import find_reason
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.flat_call import FlatCall, FlatGraph, Value
from keras_netopt.tf_keras_bridge.layer_config import Crossing
from keras_netopt.tf_keras_bridge.layer_twins import make_twin
from keras_netopt.tf_keras_bridge.left_out import is_left_out
from keras_netopt.tf_keras_bridge.obstacle import NoTwinError, Obstacle
from keras_netopt.tf_keras_bridge.op_twins import make_op_twin
from keras_netopt.tf_keras_bridge.split_activations import (
    find_splits,
    make_activation,
)
from keras_netopt.tf_keras_bridge.twin_names import choose_names, clean_name
from keras_netopt.tf_keras_bridge.weight_keys import (
    Key,
    keras_weights,
    match_weights,
    tf_keras_weights,
)


@dataclass(frozen=True, eq=False)
class WeightLink:
    """A weight of the source and its place in the twin.

    Args:
        layer: Name of the layer in the twin.
        key: The names inside that layer.
        variable: The weight of the source.
        path: Path of the layer in the source.
    """

    layer: str
    key: Key
    variable: keras.Variable
    path: str


@dataclass(frozen=True, eq=False)
class Twin:
    """A model of tf_keras and its weights.

    Args:
        origin: The Keras model that was rebuilt.
        model: The model of tf_keras.
        links: One per weight of the source that the twin holds.
        crossing: What was dropped and rewritten.
    """

    origin: keras.Model
    model: Any
    links: list[WeightLink]
    crossing: Crossing


class TwinBuilder:
    """Makes the layers of a twin, tells what cannot be made, connects them.

    Args:
        graph: The calls of the source.
        twins: The user's makers by class or function.
        split_activations: Whether an activation before `BatchNormalization`
            becomes a layer. Defaults to `False`.
    """

    def __init__(
        self,
        graph: FlatGraph,
        twins: Mapping[Any, Any],
        split_activations: bool = False,
    ) -> None:
        self.graph = graph
        self.crossing = Crossing(twins)
        self.names = choose_names(graph)
        self.split = find_splits(graph) if split_activations else {}
        self.crossing.linear |= {self.names[key] for key in self.split}
        self.layers: dict[int, Any] = {}
        self.op_inputs: dict[int, list[Value]] = {}
        self.obstacles = self._make_layers()

    def _make_layers(self) -> list[Obstacle]:
        found: list[Obstacle] = []
        for call in self.graph.calls:
            operation, key = call.operation, id(call.operation)
            if key in self.layers or is_left_out(operation):
                continue
            name = self.names[key]
            try:
                if isinstance(operation, keras.layers.Layer):
                    twin = make_twin(operation, name, self.crossing)
                else:
                    twin, inputs = make_op_twin(call, name)
                    self.op_inputs[key] = inputs
            except NoTwinError as error:
                found.append(Obstacle(call.path, error.reason, error.remedy))
                twin = None
            # tf_keras raises any error where it does not take an argument.
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                found.append(_explain(call, error))
                twin = None
            self.layers[key] = twin
        return found

    def build(self, origin: keras.Model) -> Twin:
        """Connects the layers and copies the weights of the origin.

        Raises BridgeError if a weight has no counterpart.
        """
        import tf_keras

        known: dict[int, Any] = {}
        inputs = []
        for value, label in zip(
            self.graph.inputs, self.graph.names, strict=True
        ):
            tensor = tf_keras.Input(
                batch_shape=value.shape, dtype=value.dtype, name=label
            )
            known[id(value)] = tensor
            inputs.append(tensor)
        for call in self.graph.calls:
            try:
                outputs = tf_keras_flatten(self.call(call, known))
            # tf_keras checks shapes and arguments in calls.
            except (TypeError, ValueError, AttributeError) as error:
                obstacle = _explain(call, error)
                raise BridgeError(
                    f"The model does not cross into tf_keras: {obstacle}"
                ) from error
            known |= {
                id(value): one
                for value, one in zip(call.outputs, outputs, strict=True)
            }
        outputs = keras.tree.map_structure(
            lambda value: known[id(value)], self.graph.outputs
        )
        single = inputs[0] if len(inputs) == 1 else inputs
        model = tf_keras.Model(single, outputs, name=clean_name(origin.name))
        return Twin(origin, model, self._copy_weights(), self.crossing)

    def call(self, call: FlatCall, known: dict[int, Any]) -> Any:
        """Calls the twin of one call on tensors of TensorFlow.

        `known` are the tensors by `id` of their values.
        """

        def fill(leaf: Any) -> Any:
            return known[id(leaf)] if isinstance(leaf, Value) else leaf

        key = id(call.operation)
        if is_left_out(call.operation):
            note = f"{call.path}: left out; it does nothing at inference"
            if note not in self.crossing.rewrites:
                self.crossing.rewrites.append(note)
            return _cast(fill(call.tensors[0]), call)
        twin = self.layers[key]
        if key in self.op_inputs:
            tensors = [fill(one) for one in self.op_inputs[key]]
            return twin(tensors[0] if len(tensors) == 1 else tensors)
        args, kwargs = keras.tree.map_structure(fill, (call.args, call.kwargs))
        # A recorded `training=True` would put augmentation into inference.
        kwargs.pop("training", None)
        kwargs = {k: v for k, v in kwargs.items() if v is not None}
        outputs = twin(*args, **kwargs)
        return self._activate(key, twin, outputs)

    def _activate(self, key: int, twin: Any, outputs: Any) -> Any:
        """Applies the activation that was split from a layer."""
        if key not in self.split:
            return outputs
        if isinstance(self.split[key], FlatCall):
            self.split[key] = make_activation(
                self.split[key], twin.name, self.crossing
            )
        return self.split[key](outputs)

    def _copy_weights(self) -> list[WeightLink]:
        links: list[WeightLink] = []
        wrong: list[str] = []
        seen: set[int] = set()
        for call in self.graph.calls:
            layer = call.operation
            twin = self.layers.get(id(layer))
            is_layer = isinstance(layer, keras.layers.Layer)
            if not is_layer or twin is None or id(layer) in seen:
                continue
            seen.add(id(layer))
            given = list(tf_keras_weights(twin))
            if isinstance(layer, keras.layers.Normalization):
                continue  # Its statistics are arguments of the twin.
            wanted = list(keras_weights(layer))
            found, faults = match_weights(wanted, given)
            if not faults and len(found) != len(given):
                faults = [f"{len(given)} weights instead of {len(found)}"]
            wrong += [f"{call.path}: {fault}" for fault in faults]
            if faults:
                continue
            keys = {id(variable): key for key, variable in given}
            for (_, variable), target in zip(wanted, found, strict=True):
                target.assign(as_numpy(variable, target.dtype.name))
                links.append(
                    WeightLink(twin.name, keys[id(target)], variable, call.path)
                )
        if wrong:
            raise BridgeError(
                "These weights of the model have no counterpart in its twin:\n"
                + "\n".join(f"- {one}" for one in wrong)
            )
        return links


def as_numpy(tensor: Any, dtype: str) -> np.ndarray:
    """Returns the values of a tensor or variable of Keras in a dtype."""
    return np.asarray(keras.ops.convert_to_numpy(tensor)).astype(dtype)


def tf_keras_flatten(outputs: Any) -> list[Any]:
    """Returns the outputs of a layer of tf_keras as a flat list."""
    import tensorflow as tf

    return list(tf.nest.flatten(outputs))


def _cast(tensor: Any, call: FlatCall) -> Any:
    """Casts as a layer that is left out does, such as from uint8."""
    dtype = call.outputs[0].dtype
    if tensor.dtype == dtype:
        return tensor
    from keras_netopt.tf_keras_bridge.tf_operation import TFOperation

    name = clean_name(f"{call.path.replace('/', '_')}_cast")
    given = [{"netopt": "tensor", "index": 0}]
    return TFOperation("Cast", given, {"dtype": dtype}, name=name)(tensor)


def _explain(call: FlatCall, error: Exception) -> Obstacle:
    return Obstacle(
        call.path,
        f"tf_keras does not take {call.kind} as it is: "
        f"{find_reason(str(error)) or type(error).__name__}",
        "Replace the layer, or pass its twin in `twins`",
    )
