"""Smaller, faster and better trained networks from inside Keras 3 code.

Subpackages load on first use, so that `keras-netopt methods` imports no Keras.
"""

import importlib as _importlib
import os as _os
from typing import TYPE_CHECKING, Any

# In the source tree `callbacks/` and `layers/` stand beside this package; an
# installed package holds them inside.
_here = _os.path.dirname(_os.path.abspath(__file__))
if not _os.path.isdir(_os.path.join(_here, "callbacks")):
    __path__.append(_os.path.dirname(_here))

from keras_netopt._version import __version__  # noqa: E402
from keras_netopt.registration import (  # noqa: E402
    register_with_keras as _register_with_keras,
)

if TYPE_CHECKING:
    from keras_netopt import (
        callbacks,
        compression,
        cost,
        curriculum,
        datasets,
        depth,
        export,
        fine_tuning,
        layers,
        learning_rate,
        plots,
        points,
        progressive,
        quantization,
        registry,
        rl,
        schedules,
        search,
        sparsity,
        surgery,
        warnings,
    )
    from keras_netopt.compression import (  # type: ignore[no-redef]
        Target,
        compress,
        recipe,
    )

# Names that are loaded with their subpackage, on first use.
_FROM = dict.fromkeys(("Target", "compress", "recipe"), "compression")

__all__ = [
    "Target",
    "__version__",
    "callbacks",
    "compress",
    "compression",
    "cost",
    "curriculum",
    "datasets",
    "depth",
    "export",
    "fine_tuning",
    "layers",
    "learning_rate",
    "plots",
    "points",
    "progressive",
    "quantization",
    "recipe",
    "registry",
    "rl",
    "schedules",
    "search",
    "sparsity",
    "surgery",
    "warnings",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _importlib.import_module(f"{__name__}.{_FROM.get(name, name)}")
    return getattr(module, name) if name in _FROM else module


def __dir__() -> list[str]:
    return sorted(__all__)


_register_with_keras()
