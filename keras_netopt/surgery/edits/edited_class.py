"""The class that a saved file names for an edited layer or model.

A class with a `get_config` of its own is rebuilt from its arguments, which do
not know of an edit. Its edited instance is saved as its config of before the
first edit, followed by the edits.

Private names of Keras 3.15: `object_registration.GLOBAL_CUSTOM_NAMES`.
"""

import copy
import functools
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras.src.saving import object_registration

from keras_netopt.graph.build_layer import build_layer
from keras_netopt.graph.layers import walk_layers
from keras_netopt.serialization import PACKAGE, export_class

_KEY = "netopt_edits"
_ATTRIBUTE = "_netopt_edits"
_LAYERS = "netopt_layers"
_CLASSES: dict[type, type] = {}
_STEPS: dict[str, Callable[[Any, Any], None]] = {}
REMEDY = (
    "This object was edited by keras_netopt: `import keras_netopt` before you "
    "load the file."
)
Config = dict[str, Any]


@export_class
class Edited:
    """What a saved file names in place of the class of an edited object.

    Keras finds it by its registered name. `from_config` builds an object of
    the original class and repeats the edits; Keras then loads the weights. No
    object has this class itself.
    """

    def get_config(self) -> Config:
        """Required by Keras of a registered class."""
        raise NotImplementedError("`Edited` has no instances.")

    @classmethod
    def from_config(cls, config: Config) -> Any:
        """Builds an edited layer or model."""
        original = copy.deepcopy(config[_KEY]["original"])
        original.pop("build_config", None)  # `_rebuild` builds it.
        return _rebuild(config, keras.saving.deserialize_keras_object(original))


def edit_step(name: str) -> Callable[[Any], Any]:
    """Registers a function `(object, values)` that repeats a kind of edit."""

    def register(function: Any) -> Any:
        _STEPS[name] = function
        return function

    return register


def describe_original(owner: Any) -> Config | None:
    """Returns the serialized config of an object before its first edit.

    It is `None` if the object cannot be serialized; then no file of it can be
    saved either.
    """
    edits = find_edits(owner)
    if edits is not None:
        return edits["original"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Config = keras.saving.serialize_keras_object(owner)
    # The code of a user's `get_config` may raise any error.
    except Exception:
        return None
    found.pop("compile_config", None)
    return found


def find_edits(owner: Any) -> Config | None:
    """Returns what the config of an edited object holds, or `None`."""
    found: Config | None = vars(owner).get(_ATTRIBUTE)
    return found


def mark_edited(owner: Any, original: Config, step: list[Any]) -> None:
    """Adds an edit to the config of an object; changes its class.

    The new class is a subclass of the same name; `isinstance` and all methods
    but `get_config` and `from_config` are those of the original class.
    """
    edits = find_edits(owner) or {"original": original, "steps": []}
    steps = _joined(edits["steps"], step)
    _swap(owner, {"original": edits["original"], "steps": steps})


def _joined(steps: list[Any], step: list[Any]) -> list[Any]:
    """Adds a step; later sizes replace earlier ones of the same layers."""
    if not steps or step[0] != "resize" or steps[-1][0] != "resize":
        return [*steps, step]
    joined = dict(steps[-1][1])
    for place, changed in step[1].items():
        old = joined.get(place, {})
        attributes = {
            **old.get("attributes", {}),
            **changed.get("attributes", {}),
        }
        joined[place] = {**old, **changed, "attributes": attributes}
    return [*steps[:-1], ["resize", joined]]


def _swap(owner: Any, edits: Config) -> None:
    kind = type(owner)
    if _ATTRIBUTE not in vars(owner):
        object.__setattr__(owner, "__class__", _edited_class(kind))
    vars(owner)[_ATTRIBUTE] = edits


def _edited_class(original: type) -> type:
    """Makes the subclass of an original class, once.

    Its module is this package: Keras would import the module of an original
    class of its own family, build it without the edits and load no weights.
    """
    if original not in _CLASSES:

        def get_config(self: Any) -> Config:
            edits = copy.deepcopy(vars(self)[_ATTRIBUTE])
            return {"note": REMEDY, _KEY: edits}

        def from_config(cls: Any, config: Config) -> Any:
            build: Any = original
            if _KEY not in config:
                return build.from_config(config)
            serialized = copy.deepcopy(config[_KEY]["original"])
            return _rebuild(config, build.from_config(serialized["config"]))

        def save_own_variables(self: Any, store: Any) -> None:
            saver: Any = original
            saver.save_own_variables(self, store)
            if _has_insertion(self):
                store[_LAYERS] = np.array(_count_layers(self))

        def load_own_variables(self: Any, store: Any) -> None:
            loader: Any = original
            if _has_insertion(self):
                store = _check_layers(self, store)
            loader.load_own_variables(self, store)

        members = {
            "__module__": PACKAGE,
            "__qualname__": original.__qualname__,
            "__doc__": original.__doc__,
            "save_own_variables": save_own_variables,
            "load_own_variables": load_own_variables,
            "get_config": get_config,
            "from_config": classmethod(from_config),
        }
        made = type(original.__name__, (original,), members)
        object_registration.GLOBAL_CUSTOM_NAMES[made] = f"{PACKAGE}>Edited"
        _CLASSES[original] = made
    return _CLASSES[original]


def _rebuild(config: Config, owner: Any) -> Any:
    """Repeats the edits on an object of the original class."""
    edits = config[_KEY]
    build_layer(owner, edits["original"].get("build_config"))
    if owner.built:
        _repeat(owner, edits["steps"])
    else:
        _repeat_after_build(owner, edits["steps"])
    _swap(owner, edits)
    return owner


def _repeat(owner: Any, steps: list[Any]) -> None:
    for name, values in steps:
        if name not in _STEPS:
            raise ValueError(
                f"The file of '{owner.name}' holds an edit that this version "
                "of keras_netopt does not know; install a newer one. "
                f"Received: edit={name!r}"
            )
        _STEPS[name](owner, values)


def _repeat_after_build(owner: Any, steps: list[Any]) -> None:
    """Makes the edits once Keras has built the object.

    Keras wraps `build` per object, so the wrapper is replaced there.
    """
    build = vars(owner)["build"]

    @functools.wraps(build)
    def build_and_repeat(*args: Any, **kwargs: Any) -> None:
        vars(owner)["build"] = build
        build(*args, **kwargs)
        _repeat(owner, steps)

    vars(owner)["build"] = build_and_repeat


def _has_insertion(owner: Any) -> bool:
    """Whether an edit has inserted layers.

    Keras numbers the layers in a weights file: a file of more layers would
    give an object its first ones, so the number of layers is a weight too.
    """
    return any(name == "insert" for name, _ in vars(owner)[_ATTRIBUTE]["steps"])


def _count_layers(owner: Any) -> int:
    return sum(1 for _ in walk_layers(owner))


def _check_layers(owner: Any, store: Any) -> dict[str, Any]:
    """Returns the weights of an object without the number of its layers."""
    own = {key: store[key] for key in store.keys()}
    found = own.pop(_LAYERS, None)
    expected = _count_layers(owner)
    if found is None or int(np.asarray(found)) != expected:
        raise ValueError(
            f"The weights of '{owner.name}' must be those of a model with the "
            f"same edits and {expected} layers. Build the model as it was "
            "before its first edit, then call `surgery.replay(model, path)` "
            "before `load_weights`. Received: "
            f"layers={None if found is None else int(np.asarray(found))}"
        )
    return own
