"""Saves a model and its classes for a process with another Keras backend."""

import contextlib
import importlib.machinery
import os
import pickle
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.rebuild_error import explain_rebuild_error
from keras_netopt.export.trained_ranges import active_ranges
from keras_netopt.graph.layers import walk_layers
from keras_netopt.serialization import PACKAGE

MODEL, PARTS = "model.keras", "parts.pkl"
INSTALL = 'pip install "keras-netopt[processes]"'


def save_portable(exportable: ExportableModel, folder: str) -> None:
    """Writes a model, its signature and its user classes to a folder.

    Classes that another process cannot import, such as those of a notebook,
    are stored with their code by cloudpickle. The model is not modified.

    Raises:
        ExportError: If the model cannot be saved.
        OSError: If the files cannot be written.
    """
    model = exportable.model
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = keras.saving.serialize_keras_object(model)
            keras.saving.save_model(model, os.path.join(folder, MODEL))
    except OSError:
        raise
    # The code of a user's `get_config` may raise anything.
    except Exception as error:
        kind = type(error).__name__
        raise explain_rebuild_error(kind, str(error)) from error
    config.pop("compile_config", None)
    objects = _find_user_objects(config, model)
    parts = {
        "signature": exportable.signature,
        "shapes": [tuple(v.shape) for v in model.weights],
        "settings": _settings(),
        "ranges": active_ranges(model),
    }
    with open(os.path.join(folder, PARTS), "wb") as file:
        file.write(_pack(objects))
        pickle.dump(parts, file)


def _settings() -> dict[str, Any]:
    policy = keras.config.dtype_policy().name
    return {
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image_data_format": keras.config.image_data_format(),
        # A model in half precision has become a float32 clone.
        "dtype_policy": policy if policy == "float64" else "float32",
    }


def _find_user_objects(config: Any, model: keras.Model) -> dict[str, Any]:
    """Returns the user's classes and functions in a config, by their names.

    Those of Keras and this package are found without help.
    """
    known = _objects_of_layers(model)
    found: dict[str, Any] = {}
    for names in _names(config):
        for name in names:
            one = keras.saving.get_registered_object(name) or known.get(name)
            if one is not None and _is_users(one):
                found |= dict.fromkeys(names, one)
                break
    return found


def _objects_of_layers(model: keras.Model) -> dict[str, Any]:
    """Returns the classes and functions that layers consist of, by name."""
    known: dict[str, Any] = {}
    for layer in walk_layers(model):
        for value in (layer, *vars(layer).values()):
            if isinstance(value, types.FunctionType):
                known.setdefault(value.__name__, value)
            for kind in type(value).__mro__:
                if _is_users(kind):
                    known.setdefault(kind.__name__, kind)
    return known


def _is_users(one: Any) -> bool:
    package = one.__module__.partition(".")[0]
    return package not in ("keras", PACKAGE, "builtins")


def _names(value: Any) -> Iterator[tuple[str, ...]]:
    """Yields the names of each class and function in a config."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _names(item)
    elif isinstance(value, dict):
        names = [value.get("registered_name"), value.get("class_name")]
        if names[1] == "function":
            names = [value.get("config")]
        yield tuple(name for name in names if isinstance(name, str))
        for item in value.values():
            yield from _names(item)


def _pack(objects: dict[str, Any]) -> bytes:
    own = sorted({o.__name__ for o in objects.values() if _is_local(o)})
    try:
        import cloudpickle
    except ImportError:
        if own:
            raise ExportError(
                f"On the {keras.backend.backend()} backend a model is rebuilt "
                "in another process, which cannot import these classes and "
                f"functions: {own}. Move them into a module, or run "
                f"`{INSTALL}`, which sends their code."
            ) from None
        return pickle.dumps(objects)
    with contextlib.ExitStack() as stack:
        for module in _unimportable_modules(objects):
            cloudpickle.register_pickle_by_value(module)
            stack.callback(cloudpickle.unregister_pickle_by_value, module)
        try:
            return bytes(cloudpickle.dumps(objects))
        # The values that a class refers to may refuse with any error.
        except Exception as error:
            raise ExportError(
                f"The code of {own} could not be sent to the process that "
                f"rebuilds the model: {type(error).__name__}: {error}. Move "
                "these classes into a module."
            ) from error


def _is_local(one: Any) -> bool:
    name = getattr(one, "__qualname__", "")
    return one.__module__ == "__main__" or "<" in name


def _unimportable_modules(
    objects: dict[str, Any],
) -> list[types.ModuleType]:
    """Returns modules that are loaded here but on no path for modules."""
    names = {one.__module__ for one in objects.values()} - {"__main__"}
    return [
        sys.modules[name]
        for name in sorted(names & set(sys.modules))
        if not _is_importable(name)
    ]


def _is_importable(name: str) -> bool:
    path = None
    parts = name.split(".")
    for k in range(len(parts)):
        full = ".".join(parts[: k + 1])
        spec = importlib.machinery.PathFinder.find_spec(full, path)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return True
