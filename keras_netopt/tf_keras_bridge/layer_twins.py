"""Makes the twin in tf_keras of a layer."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.tf_keras_bridge.flat_call import float32_of
from keras_netopt.tf_keras_bridge.layer_config import (
    Crossing,
    convert_config,
    public_class,
    read_config,
)
from keras_netopt.tf_keras_bridge.obstacle import NoTwinError

Maker = Callable[[Any, str, Crossing], Any]


def make_twin(layer: Any, name: str, crossing: Crossing) -> Any:
    """Returns an unbuilt layer of tf_keras that computes the same.

    Args:
        layer: A built layer of Keras.
        name: The name of the twin.
        crossing: The user's twins; takes what is dropped and rewritten.

    Raises:
        NoTwinError: If there is none.
    """
    own = crossing.twins.get(type(layer))
    twin = (
        _make_own(own, layer, name)
        if own is not None
        else _make_known(layer, name, crossing)
    )
    if not layer.trainable:
        twin.trainable = False
    return twin


def _make_known(layer: Any, name: str, crossing: Crossing) -> Any:
    import tf_keras

    kind = public_class(layer)
    if kind is None:
        raise _no_twin(layer)
    _check_kind(layer)
    maker = _MAKERS.get(kind.__name__)
    if maker is not None:
        return maker(layer, name, crossing)
    twin = getattr(tf_keras.layers, kind.__name__, None)
    if twin is None or kind.__name__ in _OTHERS:
        raise _no_twin(layer)
    return twin(**convert_config(layer, twin, name, crossing))


def _no_twin(layer: Any) -> NoTwinError:
    kind = type(layer)
    if kind.__module__.startswith("keras.src."):
        reason = f"{kind.__name__} has no twin in tf_keras"
        remedy = "Replace the layer, or pass"
    else:
        reason, remedy = f"{kind.__name__} is a custom layer", "Pass"
    return NoTwinError(
        reason,
        f"{remedy} `twins={{{kind.__name__}: make_tf_keras_layer}}`, where the "
        "function takes the layer and returns its twin",
    )


def _make_own(own: Any, layer: Any, name: str) -> Any:
    import tf_keras

    if isinstance(own, type):
        config = dict(layer.get_config())
        config |= {"name": name, "dtype": float32_of(layer.variable_dtype)}
        return own.from_config(config)  # type: ignore[attr-defined]
    twin = own(layer)
    if not isinstance(twin, tf_keras.layers.Layer):
        raise NoTwinError(
            f"its function in `twins` returns {twin!r}",
            "Return a layer of tf_keras",
        )
    twin._name = name
    return twin


def _check_kind(layer: Any) -> None:
    if getattr(layer, "quantization_mode", None) is not None:
        raise NoTwinError(
            "the layer was quantized by `model.quantize`",
            "Cross the float model; tfmot quantizes it",
        )
    if getattr(layer, "lora_enabled", False):
        raise NoTwinError(
            "the layer has LoRA weights",
            "Save and load the model, which merges them",
        )
    has_filters = hasattr(layer, "kernel_size") or hasattr(layer, "pool_size")
    if has_filters and layer.data_format == "channels_first":
        raise NoTwinError(
            "TensorFlow computes channels_first on a GPU only",
            'Build the model with data_format="channels_last"',
        )


def _make_activation(layer: Any, name: str, crossing: Crossing) -> Any:
    import tf_keras

    if layer.activation is keras.activations.relu6:  # tfmot knows the layer.
        return tf_keras.layers.ReLU(6.0, name=name)
    kind = tf_keras.layers.Activation
    return kind(**convert_config(layer, kind, name, crossing))


def _make_normalization(layer: Any, name: str, crossing: Crossing) -> Any:
    import tf_keras

    config = convert_config(
        layer, tf_keras.layers.Normalization, name, crossing
    )
    sizes = np.shape(layer.mean)  # 1 on each axis that is averaged over.
    shape = [sizes[k] for k in sorted(k % len(sizes) for k in layer.axis)]
    values = {
        key: np.reshape(keras.ops.convert_to_numpy(getattr(layer, key)), shape)
        for key in ("mean", "variance")
    }
    crossing.rewrites.append(
        f"{name}: mean and variance are arguments of the twin, not weights"
    )
    return tf_keras.layers.Normalization(**(config | values))


def _make_bidirectional(layer: Any, name: str, crossing: Crossing) -> Any:
    import tf_keras

    # tf_keras adds these prefixes itself.
    prefixes = {
        "forward_": layer.forward_layer,
        "backward_": layer.backward_layer,
    }
    inner = [
        make_twin(one, one.name.removeprefix(prefix), crossing)
        for prefix, one in prefixes.items()
    ]
    return tf_keras.layers.Bidirectional(
        inner[0],
        backward_layer=inner[1],
        merge_mode=layer.merge_mode,
        name=name,
    )


def _make_time_distributed(layer: Any, name: str, crossing: Crossing) -> Any:
    import tf_keras

    inner = make_twin(layer.layer, layer.layer.name, crossing)
    return tf_keras.layers.TimeDistributed(inner, name=name)


def _make_rnn(layer: Any, name: str, crossing: Crossing) -> Any:
    import tf_keras

    config = read_config(layer)
    cell = make_twin(layer.cell, layer.cell.name, crossing)
    names = (
        "return_sequences return_state go_backwards stateful unroll "
        "zero_output_for_mask"
    )
    options = {key: config[key] for key in names.split()}
    return tf_keras.layers.RNN(cell, name=name, **options)


def _make_stacked_cells(layer: Any, name: str, crossing: Crossing) -> Any:
    import tf_keras

    cells = [make_twin(one, one.name, crossing) for one in layer.cells]
    return tf_keras.layers.StackedRNNCells(cells, name=name)


_MAKERS: dict[str, Maker] = {
    "Activation": _make_activation,
    "Normalization": _make_normalization,
    "Bidirectional": _make_bidirectional,
    "TimeDistributed": _make_time_distributed,
    "RNN": _make_rnn,
    "StackedRNNCells": _make_stacked_cells,
}
# Of the same name, but with code or strings that do not cross.
_OTHERS = frozenset(
    "Lambda TextVectorization StringLookup IntegerLookup Hashing "
    "HashedCrossing SpectralNormalization RandomCrop".split()
)
