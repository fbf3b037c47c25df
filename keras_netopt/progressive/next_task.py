"""The next task of a trained model, for scripts with `fit` calls."""

import warnings
from typing import Any

import keras

from keras_netopt.progressive.progressive_network import (
    ProgressiveNetwork,
    find_network,
)
from keras_netopt.warnings import NotIntendedUseWarning


def next_task(
    model: keras.Model, head: Any = None, *, hidden: Any = None, **settings: Any
) -> keras.Model:
    """Returns a model for the next task that reads the features of this one.

    The model that was trained becomes a finished task: it still answers, with
    the same bits, and its `fit` raises. The returned model has a new column of
    the same structure, lateral connections and a new head, and is compiled
    like `model`. Call it again on the returned model for a third task.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(16, "relu"),
    ...     keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 4)), np.random.normal(size=64)
    >>> history = model.fit(x, y, verbose=0)
    >>> before = model.predict(x, verbose=0)
    >>> second = netopt.progressive.next_task(model)
    >>> history = second.fit(x, -y, verbose=0)
    >>> bool(np.array_equal(model.predict(x, verbose=0), before))
    True

    Args:
        model: A trained model: any Functional or Sequential model, a
            subclassed model of Keras layers and operations, or a task of a
            progressive network.
        head: As in `ProgressiveNetwork.add_task`. Defaults to `None`: new
            copies of the layers of the model's head.
        hidden: As in `ProgressiveNetwork`. Defaults to `None`.
        **settings: `name`, `width`, `adapter`, `adapter_width`, `lateral` and
            `alpha_init`, as in `ProgressiveNetwork.add_task`.

    Returns:
        The model of the next task. `find_network(model)` returns the
        network, with `check_forgetting`, `summary` and `save`.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: As `ProgressiveNetwork` does, or if `model` is a finished
            task.
    """
    net = find_network(model)
    if net is None:
        net = ProgressiveNetwork(model, hidden=hidden)
    elif net[net.tasks[-1]] is not model:
        raise ValueError(
            "Argument `model` must be the last task of its network, "
            f"{net.tasks[-1]!r}. Received: model={model.name!r}, a finished "
            "task."
        )
    elif hidden is not None:
        raise ValueError(
            "Argument `hidden` must be None for a task of a network, whose "
            f"hidden tensors are known. Received: hidden={hidden!r}"
        )
    compiled = model if getattr(model, "compiled", False) else None
    task = net.add_task(head, compiled=compiled, **settings)
    if type(model).train_step is not keras.Model.train_step:
        warnings.warn(
            f"Class {type(model).__name__} of model {model.name!r} defines "
            "`train_step`, which the model of the next task does not have: it "
            "is a Functional model that trains with its compiled loss. For "
            "your own step, build the class around it: "
            "`YourModel(task.inputs, task.outputs)`.",
            NotIntendedUseWarning,
            stacklevel=2,
        )
    return task
