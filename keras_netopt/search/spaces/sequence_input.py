"""Inputs of networks for sequences: tokens or feature vectors."""

from typing import Any

from keras import layers, ops

from keras_netopt.checks import check_integer
from keras_netopt.search.spaces.space import Shape, check_shape


def check_sequence(input_shape: Any, vocabulary: int | None) -> Shape:
    """Returns the shape of one sequence."""
    if vocabulary is not None:
        check_integer(vocabulary, "vocabulary", minimum=2)
        return check_shape(input_shape, "input_shape", 1)
    shape = check_shape(input_shape, "input_shape")
    if len(shape) != 2:
        raise ValueError(
            "Argument `input_shape` must be (length, features), or "
            "`vocabulary` the number of different tokens of sequences of "
            f"shape (length,). Received: input_shape={input_shape!r}"
        )
    return shape


def embed(x: Any, width: int, vocabulary: int | None) -> Any:
    """Maps tokens or features to vectors of `width`."""
    if vocabulary is None:
        return layers.Dense(width, name="embedding")(x)
    return layers.Embedding(vocabulary, width, name="embedding")(x)


def add_positions(x: Any, tokens: Any) -> Any:
    """Adds a trained vector for each position."""
    length, width = x.shape[1:]
    ones = ops.ones_like(tokens if len(tokens.shape) == 2 else tokens[:, :, 0])
    positions = ops.cumsum(ops.cast(ones, "int32"), axis=1) - 1
    embedding = layers.Embedding(length, width, name="positions")(positions)
    return layers.Add(name="embedding_add")([x, embedding])
