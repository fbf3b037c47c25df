"""torch with `jit_compile=True`, which compiles C++ for minutes."""

from typing import Any

import pytest

# Warnings of torch about its own code and about Keras.
QUIET = (
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:Dynamo detected:UserWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
)


def quiet(test: Any) -> Any:
    """Allows these warnings in a test."""
    for mark in QUIET:
        test = mark(test)
    return test


def frames() -> Any:
    """Counts compilations of torch in the context: "ok" and "total"."""
    import torch

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    return torch._dynamo.utils.counters["frames"]
