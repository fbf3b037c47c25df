"""Recurrent networks."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.checks import check_bool
from keras_netopt.search.spaces.head import check_head
from keras_netopt.search.spaces.options import (
    active_from,
    check_labels,
    check_numbers,
    check_sizes,
    choose,
)
from keras_netopt.search.spaces.sequence_input import check_sequence, embed
from keras_netopt.search.spaces.space import Choices, Space

CELLS = ("gru", "lstm")
DIRECTIONS = ("forward", "both")


def rnn(
    input_shape: Any,
    outputs: int,
    *,
    vocabulary: int | None = None,
    task: str = "classification",
    per_token: bool = False,
    layers: Any = (1, 2),
    units: Any = (32, 64, 128),
    cell: Any = CELLS,
    direction: Any = "forward",
    embedding: Any = 32,
    dropout: Any = 0.0,
    learning_rate: Any = 1e-3,
) -> Space:
    """Search space of recurrent networks.

    Hyperparameters: "layers", "layer1/units" and so on, "cell", "direction",
    "embedding" (of tokens only), "dropout". The units of a layer are searched
    only if the layer exists; an argument with one value is not searched.

    Example:

    >>> from keras_netopt.search import spaces
    >>> space = spaces.rnn((48, 20), 10, layers=(1, 2), units=(16, 32))
    >>> space.defaults()
    {'layers': 1, 'layer1/units': 16, 'cell': 'gru'}

    Args:
        input_shape: (length,) of tokens if `vocabulary` is given, else
            (length, features).
        outputs: Number of classes (their logits are the output), or of
            numbers in a regression.
        vocabulary: Number of different tokens, which are integers from 0.
            Defaults to `None`: the inputs are feature vectors.
        task: "classification" with integer labels, or "regression".
            Defaults to `"classification"`.
        per_token: Whether each position has outputs; otherwise the last
            state has. Defaults to `False`.
        layers: Number of recurrent layers, an integer or several to search.
            Defaults to `(1, 2)`.
        units: Units of a layer, and of each of its directions, likewise.
            Defaults to `(32, 64, 128)`.
        cell: One or both of "gru" and "lstm". Defaults to both.
        direction: One or both of "forward" and "both". Defaults to
            `"forward"`.
        embedding: Size of the vector of a token, an integer or several.
            Defaults to `32`.
        dropout: Dropout rate in front of each recurrent layer, one number in
            [0, 1) or several. Defaults to `0.0`.
        learning_rate: Learning rate of Adam, or the lowest and the highest
            one to search between. Defaults to `1e-3`.

    Returns:
        A function `build(hp)`, a `Space`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """
    shape = check_sequence(input_shape, vocabulary)
    return Space(
        choose=_choose,
        connect=_connect,
        settings={
            "vocabulary": vocabulary,
            "per_token": check_bool(per_token, "per_token"),
            "layers": check_sizes(layers, "layers"),
            "units": check_sizes(units, "units"),
            "cell": check_labels(cell, "cell", CELLS),
            "direction": check_labels(direction, "direction", DIRECTIONS),
            "embedding": check_sizes(embedding, "embedding"),
            "dropout": check_numbers(dropout, "dropout", below=1.0),
        },
        head=check_head(task, outputs, pool=False),
        input_shape=shape,
        input_dtype="float32" if vocabulary is None else "int32",
        learning_rate=learning_rate,
        name="rnn",
    )


def _choose(hp: Any, settings: Mapping[str, Any]) -> Choices:
    counts = settings["layers"]
    count = choose(hp, "layers", counts)
    units = []
    for i in range(1, max(counts) + 1):
        with active_from(hp, "layers", counts, i):
            units.append(choose(hp, f"layer{i}/units", settings["units"]))
    searched = ["cell", "direction", "dropout"]
    if settings["vocabulary"] is not None:
        searched.append("embedding")
    return {
        "units": units[:count],
        **{name: choose(hp, name, settings[name]) for name in searched},
        **{name: settings[name] for name in ("vocabulary", "per_token")},
    }


def _connect(x: Any, choices: Choices) -> Any:
    if choices["vocabulary"] is not None:
        x = embed(x, choices["embedding"], choices["vocabulary"])
    kind = keras.layers.GRU if choices["cell"] == "gru" else keras.layers.LSTM
    count = len(choices["units"])
    for i, units in enumerate(choices["units"], 1):
        if choices["dropout"]:
            x = keras.layers.Dropout(
                choices["dropout"], name=f"layer{i}_dropout"
            )(x)
        sequences = choices["per_token"] or i < count
        layer = kind(units, return_sequences=sequences, name=f"layer{i}")
        if choices["direction"] == "both":
            layer = keras.layers.Bidirectional(layer, name=f"layer{i}_both")
        x = layer(x)
    return x
