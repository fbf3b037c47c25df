"""Replaces a function of tfmot for a while."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def replaced_function(
    module: Any, name: str, function: Callable[..., Any]
) -> Iterator[None]:
    """Replaces a function of a module while the block runs."""
    original = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, original)
