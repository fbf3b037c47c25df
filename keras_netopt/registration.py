"""Registers the classes that Keras saves, whichever package comes first.

`keras.saving.load_model` finds a class of this package by its registered name
only, so `import keras_netopt` must register all of them, yet it must not
import Keras for commands that do without. This module imports no Keras.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

PACKAGE = "keras_netopt"
# These define or import every registered class.
SAVED = (
    "callbacks",
    "compression",
    "curriculum",
    "depth",
    "layers",
    "learning_rate",
    "rl",
    "search.max_latency",
)


def register_with_keras() -> None:
    """Registers the classes now if Keras is imported, else once it is."""
    if not _register_saved_classes(PACKAGE):
        sys.meta_path.insert(0, _ImportHook())


def _register_saved_classes(importing: str) -> bool:
    """Imports every module with registered classes, unless too early.

    It is too early without Keras, and while another module of this package
    is being imported: it may lack names that the others need.
    """
    others_importing = any(
        name.startswith(f"{PACKAGE}.")
        and name != importing
        and getattr(module.__spec__, "_initializing", False)
        for name, module in list(sys.modules.items())
    )
    if "keras" not in sys.modules or others_importing:
        return False
    for name in SAVED:
        importlib.import_module(f"{PACKAGE}.{name}")
    return True


class _ImportHook:
    """Registers the classes after `import keras`, or a part of this package."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        if name != "keras" and name.rpartition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: Any) -> None:
            execute(module)
            if _register_saved_classes(name) and self in sys.meta_path:
                sys.meta_path.remove(self)

        spec.loader.exec_module = execute_and_register  # type: ignore
        return spec
