"""Fully connected networks."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.search.spaces.head import check_head
from keras_netopt.search.spaces.options import (
    active_from,
    check_labels,
    check_numbers,
    check_sizes,
    choose,
)
from keras_netopt.search.spaces.space import Choices, Space, check_shape

ACTIVATIONS = ("relu", "gelu", "silu", "elu", "tanh")


def mlp(
    input_shape: Any,
    outputs: int,
    *,
    task: str = "classification",
    layers: Any = (1, 2, 3),
    units: Any = (32, 64, 128, 256),
    activation: Any = "relu",
    dropout: Any = 0.0,
    learning_rate: Any = 1e-3,
) -> Space:
    """Search space of fully connected networks.

    Hyperparameters: "layers", "layer1/units" and so on, "activation",
    "dropout". The units of a layer are searched only if the layer exists. An
    argument with one value is not searched.

    Example:

    >>> from keras_netopt.search import spaces
    >>> space = spaces.mlp((28, 28), 10, layers=(1, 2), units=(16, 32))
    >>> space.defaults()
    {'layers': 1, 'layer1/units': 16}
    >>> space.model({"layers": 2, "layer2/units": 32}).count_params()
    13434

    Args:
        input_shape: Shape of one sample, which is flattened.
        outputs: Number of classes (their logits are the output), or of
            numbers in a regression.
        task: "classification" with integer labels, or "regression".
            Defaults to `"classification"`.
        layers: Number of hidden layers, an integer or several to search.
            Defaults to `(1, 2, 3)`.
        units: Units of a hidden layer, likewise. Defaults to
            `(32, 64, 128, 256)`.
        activation: One or several of "relu", "gelu", "silu", "elu" and
            "tanh". Defaults to `"relu"`.
        dropout: Dropout rate behind each hidden layer, one number in [0, 1)
            or several. Defaults to `0.0`.
        learning_rate: Learning rate of Adam, or the lowest and the highest
            one to search between. Defaults to `1e-3`.

    Returns:
        A function `build(hp)`, a `Space`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """
    return Space(
        choose=_choose,
        connect=_connect,
        settings={
            "layers": check_sizes(layers, "layers"),
            "units": check_sizes(units, "units"),
            "activation": check_labels(activation, "activation", ACTIVATIONS),
            "dropout": check_numbers(dropout, "dropout", below=1.0),
        },
        head=check_head(task, outputs),
        input_shape=check_shape(input_shape, "input_shape"),
        learning_rate=learning_rate,
        name="mlp",
    )


def _choose(hp: Any, settings: Mapping[str, Any]) -> Choices:
    counts = settings["layers"]
    count = choose(hp, "layers", counts)
    units = []
    for i in range(1, max(counts) + 1):
        with active_from(hp, "layers", counts, i):
            units.append(choose(hp, f"layer{i}/units", settings["units"]))
    return {
        "units": units[:count],
        "activation": choose(hp, "activation", settings["activation"]),
        "dropout": choose(hp, "dropout", settings["dropout"]),
    }


def _connect(x: Any, choices: Choices) -> Any:
    if len(x.shape) > 2:
        x = keras.layers.Flatten(name="flatten")(x)
    for i, units in enumerate(choices["units"], 1):
        x = keras.layers.Dense(
            units, activation=choices["activation"], name=f"layer{i}"
        )(x)
        if choices["dropout"]:
            x = keras.layers.Dropout(
                choices["dropout"], name=f"layer{i}_dropout"
            )(x)
    return x
