"""Difficulty scores of text: sequence length and token rarity."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.difficulty import Difficulty, ScoringContext


class SequenceLength(Difficulty):
    """Number of tokens in each sequence: `difficulty="length"`.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.difficulty import ScoringContext
    >>> from keras_netopt.curriculum.sample_source import ArraySource
    >>> source = ArraySource(np.array([[5, 6, 0], [7, 0, 0]]))
    >>> SequenceLength().score(ScoringContext(source, None, {}))
    array([2., 1.])

    Args:
        pad_token: Token number of padding, which is not counted. Defaults to
            `0`.

    Reference:
        Platanios et al., 2019, https://arxiv.org/abs/1903.09848.
    """

    name = "length"

    def __init__(self, pad_token: int = 0):
        self.pad_token = pad_token

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the number of tokens."""
        found = []
        for _, (x, _, _) in context.chunks():
            rows = _tokens(x, self.pad_token, self.name, context.source.unit)
            found.append([float(len(row)) for row in rows])
        return np.concatenate(found)


class TokenRarity(Difficulty):
    """Sum of the negative log frequencies of tokens: `difficulty="rarity"`.

    Frequencies are those of tokens in the training data. Longer sequences
    have higher scores.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.difficulty import ScoringContext
    >>> from keras_netopt.curriculum.sample_source import ArraySource
    >>> source = ArraySource(np.array([[5, 5], [5, 6]]))
    >>> TokenRarity().score(ScoringContext(source, None, {})).round(3)
    array([0.575, 1.674])

    Args:
        pad_token: Token number of padding, which is not counted. Defaults to
            `0`.

    Reference:
        Platanios et al., 2019, https://arxiv.org/abs/1903.09848.
    """

    name = "rarity"

    def __init__(self, pad_token: int = 0):
        self.pad_token = pad_token

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the sum of negative log frequencies of each sequence."""
        rows: list[Any] = []
        for _, (x, _, _) in context.chunks():
            rows += _tokens(x, self.pad_token, self.name, context.source.unit)
        lengths = np.array([len(row) for row in rows])
        flat = np.concatenate([np.asarray(row) for row in rows])
        _, place, counts = np.unique(
            flat, return_inverse=True, return_counts=True
        )
        rarity = -np.log(counts / counts.sum())[place]
        owner: np.ndarray = np.repeat(np.arange(len(rows)), lengths)
        return np.bincount(owner, weights=rarity, minlength=len(rows))


def _tokens(x: Any, pad_token: int, name: str, unit: str) -> Sequence[Any]:
    """Lists the tokens of each unit of the source, without padding."""
    for leaf in keras.tree.flatten(x):
        if leaf.dtype.kind in "iu" and leaf.ndim == 2:
            rows = [row[row != pad_token] for row in leaf]
            return [np.concatenate(rows)] if unit == "batch" else rows
        if leaf.dtype.kind in "OSU" and leaf.ndim in (1, 2):
            texts = [_as_text(one).split() for one in leaf.reshape(-1)]
            return [sum(texts, [])] if unit == "batch" else texts
    shapes = [(leaf.dtype.name, leaf.shape) for leaf in keras.tree.flatten(x)]
    raise ValueError(
        f"Argument `difficulty` {name!r} needs integer tokens of shape "
        "(samples, steps) or strings as inputs; pass an array of scores for "
        f"other data. Received: x with {shapes}"
    )


def _as_text(one: Any) -> str:
    return one.decode() if isinstance(one, bytes) else str(one)
