"""What a layer carries through training without a trace in config and files.

Private name of Keras 3.15: `Layer._seed_generators`.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


def add_hidden_state(layer: Any, holder: Any) -> Callable[[], None]:
    """Adds the variable `holder.state` to `layer.variables`.

    Keras handles it as the state of a seed: it is passed to the compiled step
    on JAX, and neither in `layer.weights` nor in the files that Keras saves.
    The returned function removes it; calling it twice does nothing.
    """
    held = layer._seed_generators
    held.append(holder)

    def remove() -> None:
        held[:] = [one for one in held if one is not holder]

    return remove


@contextlib.contextmanager
def override_activation(
    layer: Any, function: Callable[[Any], Any]
) -> Iterator[None]:
    """Applies a function before `layer.activation` in the context.

    Another replica of the step may be inside such a context, and waits.
    """
    activation = layer.activation
    activation = getattr(activation, "before", activation)

    def overridden(x: Any) -> Any:
        return activation(function(x))

    overridden.before = activation  # type: ignore[attr-defined]
    held = vars(layer)
    is_held = "activation" in held
    object.__setattr__(layer, "activation", overridden)
    try:
        yield
    finally:
        # On torch an activation that is a layer is no plain attribute.
        if is_held:
            object.__setattr__(layer, "activation", activation)
        else:
            object.__delattr__(layer, "activation")
