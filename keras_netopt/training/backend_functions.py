"""Watches and replaces the activation functions of the backend.

Private name of Keras 3.15: `keras.src.backend.nn`, through which layers, ops
and `keras.activations` all compute their activations.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
from keras.src import backend

from keras_netopt.training.activations import has_value

# Functions that are about zero, or small, left of zero and grow right of it.
RECTIFIERS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu"),
    *("gelu", "silu", "hard_silu", "softplus"),
)
SQUASHERS = ("softmax", "sigmoid", "log_softmax", "log_sigmoid")

Function = Callable[..., Any]


@contextlib.contextmanager
def override_functions(
    names: Iterable[str], wrap: Callable[[Function], Function]
) -> Iterator[None]:
    """Replaces functions of the backend for calls of this thread.

    `wrap(original)` returns the replacement. A call inside another call of
    these functions runs the original.
    """
    thread, depth = threading.get_ident(), [0]

    def guarded(original: Function) -> Function:
        replacement = wrap(original)

        def call(*args: Any, **kwargs: Any) -> Any:
            if depth[0] or threading.get_ident() != thread:
                return original(*args, **kwargs)
            depth[0] += 1
            try:
                return replacement(*args, **kwargs)
            finally:
                depth[0] -= 1

        return call

    originals = {name: getattr(backend.nn, name) for name in names}
    try:
        for name, original in originals.items():
            setattr(backend.nn, name, guarded(original))
        yield
    finally:
        for name, original in originals.items():
            setattr(backend.nn, name, original)


def capture_rectifier_inputs(
    model: keras.Model, x: Any, observe: Callable[[Any], None]
) -> None:
    """Runs a model eagerly and calls `observe(inputs)` for every rectifier.

    `inputs` is the tensor that a function of `RECTIFIERS` is applied to, in
    the order of the calls, wherever the call is: in a layer, as the argument
    `activation` of a layer, as an op in a graph or in the code of a subclass.
    Calls that a backend traces (the cell of a recurrent layer) are skipped.
    """

    def wrap(original: Function) -> Function:
        def call(x: Any, *args: Any, **kwargs: Any) -> Any:
            if has_value(x):
                observe(x)
            return original(x, *args, **kwargs)

        return call

    with override_functions(RECTIFIERS, wrap), keras.StatelessScope():
        model(x, training=False)


@contextlib.contextmanager
def linear_outputs(model: keras.Model, x: Any) -> Iterator[None]:
    """Leaves out a softmax or sigmoid that computes an output.

    The gradient of the sum of a softmax is zero. The model must be called
    with the structure of `x` inside the context.
    """
    calls: list[Any] = []

    def record(original: Function) -> Function:
        def call(x: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(original(x, *args, **kwargs))
            return calls[-1]

        return call

    with override_functions(SQUASHERS, record), keras.StatelessScope():
        outputs = keras.tree.flatten(model(x, training=False))
    last = {
        i for i, one in enumerate(calls) if any(one is out for out in outputs)
    }
    if not last:
        yield
        return
    count, total = [0], len(calls)

    def skip(original: Function) -> Function:
        def call(x: Any, *args: Any, **kwargs: Any) -> Any:
            index = count[0] % total
            count[0] += 1
            return x if index in last else original(x, *args, **kwargs)

        return call

    with override_functions(SQUASHERS, skip):
        yield
