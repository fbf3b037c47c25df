"""Makes the twin in tf_keras of a call of `keras.ops` or an operator."""

import inspect
import math
from typing import Any

import keras

from keras_netopt.tf_keras_bridge.call_template import encode
from keras_netopt.tf_keras_bridge.flat_call import FlatCall, Value, float32_of
from keras_netopt.tf_keras_bridge.obstacle import NoTwinError


def make_op_twin(call: FlatCall, name: str) -> tuple[Any, list[Value]]:
    """Returns an unbuilt layer of tf_keras and the tensors that it takes.

    The layer is one of tf_keras where that computes the same, because tfmot
    knows it. Raises NoTwinError if the op has no twin.
    """
    layer = _plain_layer(call, name)
    if layer is not None:
        return layer, call.tensors
    from keras_netopt.tf_keras_bridge.tf_operation import TFOperation
    from keras_netopt.tf_keras_bridge.tf_ops import (
        ARITHMETIC,
        COMPARISONS,
        OPS,
    )

    if not is_keras_op(call.operation) or call.kind not in OPS:
        raise NoTwinError(
            f"the op {call.kind} has no twin in tf_keras",
            "Compute it outside of the model, or in a layer with a twin in "
            "`twins`",
        )
    tensors: list[Value] = []
    args = [encode(one, tensors) for one in call.args]
    kwargs = {k: encode(v, tensors) for k, v in call.kwargs.items()}
    options = {
        key: float32_of(value) if key == "dtype" else encode(value, [])
        for key, value in read_options(call.operation).items()
    }
    casts = None
    if call.kind in ARITHMETIC:
        casts = call.outputs[0].dtype
    elif call.kind in COMPARISONS:
        casts = keras.backend.result_type(*(one.dtype for one in tensors))
    layer = TFOperation(call.kind, args, options | kwargs, casts, name=name)
    return layer, tensors


def is_keras_op(operation: Any) -> bool:
    """Whether an operation is of Keras itself."""
    return type(operation).__module__.startswith("keras.src.ops.")


def read_options(operation: Any) -> dict[str, Any]:
    """Returns the attributes of an op that its constructor takes."""
    parameters = inspect.signature(type(operation).__init__).parameters
    return {
        key: getattr(operation, key)
        for key in parameters
        if key not in ("self", "name")
        and getattr(operation, key, None) is not None
    }


def _plain_layer(call: FlatCall, name: str) -> Any:
    """Returns a layer that tfmot knows, or `None`."""
    import tf_keras

    layers = tf_keras.layers
    given = [*call.args, *call.kwargs.values()]
    shapes = [one.shape for one in call.tensors]
    floats = all(one.dtype == "float32" for one in call.tensors)
    if not floats:
        return None
    merges = {
        "Add": layers.Add,
        "Multiply": layers.Multiply,
        "Subtract": layers.Subtract,
        "Maximum": layers.Maximum,
        "Minimum": layers.Minimum,
    }
    if call.kind in merges and _takes_two(given) and shapes[0] == shapes[1]:
        return merges[call.kind](name=name)
    options = read_options(call.operation)
    if call.kind == "Concatenate" and len(given) == 1 and options["axis"]:
        return layers.Concatenate(axis=options["axis"], name=name)
    activations = ("Relu", "Sigmoid", "Tanh", "Softmax")
    if call.kind in activations and options.get("axis", -1) == -1:
        return layers.Activation(call.kind.lower(), name=name)
    if call.kind == "Relu6":
        return layers.ReLU(6.0, name=name)
    if call.kind in ("Mean", "Max") and len(shapes[0]) == 4:
        return _global_pooling(call.kind, options, name)
    if call.kind == "Reshape":
        return _reshape(call, name)
    return None


def _takes_two(given: list[Any]) -> bool:
    return (
        len(given) == 2
        and all(isinstance(one, Value) for one in given)
        and given[0] is not given[1]
    )


def _global_pooling(kind: str, options: dict[str, Any], name: str) -> Any:
    import tf_keras

    axis = options["axis"]
    if axis is None or sorted(one % 4 for one in axis) != [1, 2]:
        return None
    layer = {
        "Mean": tf_keras.layers.GlobalAveragePooling2D,
        "Max": tf_keras.layers.GlobalMaxPooling2D,
    }[kind]
    return layer(keepdims=bool(options["keepdims"]), name=name)


def _reshape(call: FlatCall, name: str) -> Any:
    """A reshape that leaves the batch axis as it is."""
    import tf_keras

    before: Any = call.tensors[0].shape
    after: Any = call.outputs[0].shape
    if not before or not after or before[0] != after[0]:
        return None
    if None in before[1:] or None in after[1:]:
        return None
    if before[0] is not None or math.prod(before[1:]) != math.prod(after[1:]):
        return None
    return tf_keras.layers.Reshape(after[1:], name=name)
