"""Converts the config of a Keras 3 layer to arguments of its twin."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.tf_keras_bridge.activation_twins import find_activation
from keras_netopt.tf_keras_bridge.flat_call import float32_of
from keras_netopt.tf_keras_bridge.obstacle import NoTwinError

# Says nothing about the outputs of a layer that has its weights already.
_HARMLESS = ("quantization_config", "autocast", "seed", "lora_rank")
_RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
_BASE = ("name", "trainable", "dtype")
_MISSING = object()


@dataclass
class Crossing:
    """What is told of a crossing, and the twins of the user's classes.

    Args:
        twins: Makers of twins by class or function.
        dropped: Config keys that have no counterpart, by layer name.
        rewrites: Sentences that name what was rewritten.
        linear: Names of the layers whose twins are linear; an `Activation`
            follows them.
    """

    twins: Mapping[Any, Any] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    rewrites: list[str] = field(default_factory=list)
    linear: set[str] = field(default_factory=set)


def public_class(layer: Any) -> Any:
    """Returns the class of `keras.layers` that a layer behaves as, or `None`.

    A subclass that overrides the computation is no class of Keras; one made
    by an edit of this package is.
    """
    for kind in type(layer).__mro__:
        if getattr(keras.layers, kind.__name__, None) is kind:
            break
    else:
        return None
    own = ("call", "build", "compute_mask")
    same = all(
        inspect.getattr_static(type(layer), name, None)
        is inspect.getattr_static(kind, name, None)
        for name in own
    )
    return kind if same and kind is not keras.layers.Layer else None


def read_config(layer: Any) -> dict[str, Any]:
    """Returns the arguments of a layer, an edited one's of today."""
    return dict(public_class(layer).get_config(layer))


def convert_config(
    layer: Any, twin: Any, name: str, crossing: Crossing
) -> dict[str, Any]:
    """Returns the arguments of `twin`, the class in tf_keras.

    A key that `twin` does not take is dropped where it has its default value.
    Raises NoTwinError where that would change the outputs.
    """
    kind = public_class(layer)
    accepted = _parameters(twin) | set(_BASE)
    if hasattr(twin, "reset_states"):
        accepted.add("zero_output_for_mask")  # Recurrent layers read `kwargs`.
    defaults = _defaults(kind)
    found: dict[str, Any] = {}
    for key, value in read_config(layer).items():
        key = _RENAMED.get((kind.__name__, key), key)
        if key.endswith("_initializer") or key in _HARMLESS[:2]:
            _tell_dropped(crossing, name, key, value)
        elif key not in accepted:
            expected = defaults.get(key, _MISSING)
            if key not in _HARMLESS and not _is_default(value, expected):
                if (key, value) != ("data_format", "channels_last"):
                    raise NoTwinError(
                        f"the argument {key}={value!r} of "
                        f"{kind.__name__} has no counterpart in tf_keras",
                        f"Leave `{key}` at its default",
                    )
            _tell_dropped(crossing, name, key, value)
        elif key == "activation" and name in crossing.linear:
            found[key] = None
        elif key.endswith("activation"):
            found[key] = find_activation(
                getattr(layer, key, None), crossing.twins
            )
        elif key.endswith(("_regularizer", "_constraint")):
            found[key] = _convert_object(key, value)
        else:
            found[key] = value
    return found | {
        "name": name,
        "dtype": float32_of(layer.variable_dtype),
    }


def _tell_dropped(crossing: Crossing, name: str, key: str, value: Any) -> None:
    if value is not None:
        keys = crossing.dropped.setdefault(name, [])
        if key not in keys:
            keys.append(key)


def _parameters(kind: Any) -> set[str]:
    """The arguments of a class and of those that it passes `kwargs` to."""
    found: set[str] = set()
    for one in kind.__mro__:
        own = vars(one).get("__init__")
        if own is None:
            continue
        parameters = inspect.signature(own).parameters.values()
        found |= {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def _defaults(kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in kind.__mro__:
        own = vars(one).get("__init__")
        if own is not None:
            for p in inspect.signature(own).parameters.values():
                if p.default is not p.empty:
                    found.setdefault(p.name, p.default)
    return found


def _is_default(value: Any, default: Any) -> bool:
    if value is None or value is False:
        return True
    return bool(value == default)


def _convert_object(key: str, value: Any) -> Any:
    """Converts a regularizer or constraint of Keras to one of tf_keras."""
    import tf_keras

    if value is None:
        return None
    family = "regularizers" if key.endswith("_regularizer") else "constraints"
    place = getattr(tf_keras, family)
    kind = value.get("class_name") if isinstance(value, dict) else None
    is_own = (
        isinstance(value, dict) and value.get("module") == f"keras.{family}"
    )
    twin = getattr(place, kind or "", None) if is_own else None
    if twin is None:
        raise NoTwinError(
            f"the object {key}={kind or value!r} has no twin in tf_keras",
            f"Set `layer.{key} = None`; it does not change the outputs",
        )
    return twin(**value["config"])
