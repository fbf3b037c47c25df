"""Transformer encoders."""

import itertools
from collections.abc import Mapping
from typing import Any

from keras import layers

from keras_netopt.checks import check_bool
from keras_netopt.search.spaces.head import check_head
from keras_netopt.search.spaces.options import (
    active_from,
    check_numbers,
    check_sizes,
    choose,
)
from keras_netopt.search.spaces.sequence_input import (
    add_positions,
    check_sequence,
    embed,
)
from keras_netopt.search.spaces.space import Choices, Space


def transformer_encoder(
    input_shape: Any,
    outputs: int,
    *,
    vocabulary: int | None = None,
    task: str = "classification",
    causal: bool = False,
    per_token: bool = False,
    blocks: Any = (1, 2, 3, 4),
    width: Any = (32, 64, 128),
    heads: Any = (2, 4),
    mlp_ratio: Any = (1, 2, 4),
    dropout: Any = 0.0,
    learning_rate: Any = 1e-3,
) -> Space:
    """Search space of transformers for classification and language models.

    Blocks normalize first (pre-norm): attention and a GELU network, each
    with a shortcut. Positions have trained embeddings. `causal=True` and
    `per_token=True` make a language model.

    Hyperparameters: "width", "blocks", "dropout", and for each block
    "block1/heads" and "block1/mlp_ratio", searched only if the block exists.
    An argument with one value is not searched.

    Example:

    >>> from keras_netopt.search import spaces
    >>> language_model = spaces.transformer_encoder(
    ...     (16,), 30, vocabulary=30, causal=True, per_token=True, blocks=(1, 2)
    ... )
    >>> language_model.model({"width": 32}).output_shape
    (None, 16, 30)

    Args:
        input_shape: (length,) of tokens if `vocabulary` is given, else
            (length, features).
        outputs: Number of classes (their logits are the output), or of
            numbers in a regression.
        vocabulary: Number of different tokens, which are integers from 0.
            Defaults to `None`: the inputs are feature vectors.
        task: "classification" with integer labels, or "regression".
            Defaults to `"classification"`.
        causal: Whether a position sees only itself and earlier ones.
            Defaults to `False`.
        per_token: Whether each position has outputs; otherwise their mean
            has. Defaults to `False`.
        blocks: Number of blocks, an integer or several to search. Defaults
            to `(1, 2, 3, 4)`.
        width: Size of the vector of a position, likewise. Defaults to
            `(32, 64, 128)`.
        heads: Attention heads of a block, likewise; each must divide each
            width. Defaults to `(2, 4)`.
        mlp_ratio: Hidden units of a block as a multiple of the width,
            likewise. Defaults to `(1, 2, 4)`.
        dropout: Dropout rate in front of each shortcut, one number in [0, 1)
            or several. Defaults to `0.0`.
        learning_rate: Learning rate of Adam, or the lowest and the highest
            one to search between. Defaults to `1e-3`.

    Returns:
        A function `build(hp)`, a `Space`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or a number of heads does
            not divide a width.

    Reference:
        Vaswani et al., "Attention Is All You Need", 2017,
        https://arxiv.org/abs/1706.03762.
    """
    shape = check_sequence(input_shape, vocabulary)
    settings: dict[str, Any] = {
        "vocabulary": vocabulary,
        "causal": check_bool(causal, "causal"),
        "blocks": check_sizes(blocks, "blocks"),
        "width": check_sizes(width, "width"),
        "heads": check_sizes(heads, "heads"),
        "mlp_ratio": check_sizes(mlp_ratio, "mlp_ratio"),
        "dropout": check_numbers(dropout, "dropout", below=1.0),
    }
    for size, count in itertools.product(settings["width"], settings["heads"]):
        if size % count:
            raise ValueError(
                f"Argument `heads` must divide each `width`, but {count} does "
                f"not divide {size}. Received: heads={heads!r}, width={width!r}"
            )
    pool = not check_bool(per_token, "per_token")
    return Space(
        choose=_choose,
        connect=_connect,
        settings=settings,
        head=check_head(task, outputs, pool=pool),
        input_shape=shape,
        input_dtype="float32" if vocabulary is None else "int32",
        learning_rate=learning_rate,
        name="transformer_encoder",
    )


def _choose(hp: Any, settings: Mapping[str, Any]) -> Choices:
    counts = settings["blocks"]
    found = {
        **{name: settings[name] for name in ("vocabulary", "causal")},
        "width": choose(hp, "width", settings["width"]),
        "dropout": choose(hp, "dropout", settings["dropout"]),
    }
    count = choose(hp, "blocks", counts)
    blocks = []
    for i in range(1, max(counts) + 1):
        with active_from(hp, "blocks", counts, i):
            blocks.append(
                {
                    name: choose(hp, f"block{i}/{name}", settings[name])
                    for name in ("heads", "mlp_ratio")
                }
            )
    return {**found, "blocks": blocks[:count]}


def _connect(x: Any, choices: Choices) -> Any:
    tokens = x
    x = embed(x, choices["width"], choices["vocabulary"])
    x = add_positions(x, tokens)
    for i, block in enumerate(choices["blocks"], 1):
        x = _attend(x, block["heads"], choices, f"block{i}_attention")
        x = _transform(x, block["mlp_ratio"], choices, f"block{i}_mlp")
    return layers.LayerNormalization(name="last_norm")(x)


def _attend(x: Any, heads: int, choices: Choices, name: str) -> Any:
    y = layers.LayerNormalization(name=f"{name}_norm")(x)
    attention = layers.MultiHeadAttention(
        heads, choices["width"] // heads, name=name
    )
    y = attention(y, y, use_causal_mask=choices["causal"])
    return _shortcut(x, y, choices["dropout"], name)


def _transform(x: Any, ratio: int, choices: Choices, name: str) -> Any:
    width = choices["width"]
    y = layers.LayerNormalization(name=f"{name}_norm")(x)
    y = layers.Dense(ratio * width, activation="gelu", name=f"{name}_hidden")(y)
    y = layers.Dense(width, name=f"{name}_output")(y)
    return _shortcut(x, y, choices["dropout"], name)


def _shortcut(x: Any, y: Any, dropout: float, name: str) -> Any:
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    return layers.Add(name=f"{name}_add")([x, y])
