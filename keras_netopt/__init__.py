"""Smaller, faster and better trained networks from inside Keras 3 code."""

import os as _os

# In the source tree `callbacks/` and `layers/` stand beside this package; an
# installed package holds them inside.
_here = _os.path.dirname(_os.path.abspath(__file__))
if not _os.path.isdir(_os.path.join(_here, "callbacks")):
    __path__.append(_os.path.dirname(_here))

from keras_netopt import (  # noqa: E402
    callbacks,
    cost,
    curriculum,
    datasets,
    depth,
    export,
    layers,
    plots,
    points,
    registry,
    schedules,
    search,
    sparsity,
    surgery,
)
from keras_netopt._version import __version__  # noqa: E402

__all__ = [
    "__version__",
    "callbacks",
    "cost",
    "curriculum",
    "datasets",
    "depth",
    "export",
    "layers",
    "plots",
    "points",
    "registry",
    "schedules",
    "search",
    "sparsity",
    "surgery",
]
