"""torch with `jit_compile=True`: it compiles C++ for a minute or two."""

from typing import Any

import pytest

# Warnings of torch about its own code and about that of Keras.
QUIET = (
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:Dynamo detected:UserWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
)


def quiet(test: Any) -> Any:
    """Marks a test as one that may see these warnings."""
    for mark in QUIET:
        test = mark(test)
    return test


def frames() -> Any:
    """Counts what torch compiles from now on: "ok" and "total"."""
    import torch

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    return torch._dynamo.utils.counters["frames"]
