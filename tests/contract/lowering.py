"""Lowers every function that JAX compiles for devices that are not here."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras

PLATFORMS = ("tpu", "cuda")


class Lowered:
    """What was compiled while this was in use, lowered for other platforms.

    Args:
        steps: Names of the functions that were lowered, one per shape of
            arguments.
        failures: The errors of those that were not.
    """

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.failures: list[str] = []

    def add(self, function: Any, options: dict[str, Any], args: Any) -> None:
        """Lowers one function for arguments of these shapes."""
        import jax

        name = getattr(function, "__qualname__", type(function).__name__)
        shapes = keras.tree.map_structure(_spec, args)
        try:
            jax.export.export(
                jax.jit(function, **options), platforms=PLATFORMS
            )(*shapes)
        except Exception as error:
            self.failures.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self.steps.append(name)


@contextlib.contextmanager
def lowered() -> Iterator[Lowered]:
    """Records every function that Keras' trainer or this package compiles."""
    import jax
    from keras.src.backend.jax import trainer

    found, original = Lowered(), jax.jit
    busy = []

    class Compiled:
        """A function that is lowered for other platforms before it runs."""

        def __init__(self, function: Any, **options: Any) -> None:
            self.function, self.options = function, options
            self.compiled = original(function, **options)
            self.seen: set[str] = set()

        def __call__(self, *args: Any) -> Any:
            shapes = str(keras.tree.map_structure(_spec, args))
            if not busy and shapes not in self.seen:
                self.seen.add(shapes)
                busy.append(True)
                try:
                    with mock.patch.object(jax, "jit", original):
                        found.add(self.function, self.options, args)
                finally:
                    busy.pop()
            return self.compiled(*args)

    with (
        mock.patch.object(jax, "jit", Compiled),
        mock.patch.object(trainer, "jit", Compiled),
    ):
        yield found


def _spec(leaf: Any) -> Any:
    import jax

    if not hasattr(leaf, "dtype"):
        return leaf
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
