"""Difficulty scores of text: sequence length and token rarity."""

from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.difficulty import Difficulty, ScoringContext


class _TokenDifficulty(Difficulty):
    """Base of difficulties that are computed from the tokens."""

    def __init__(self, pad_token: int = 0):
        self.pad_token = pad_token

    def rows(self, context: ScoringContext) -> list[Any]:
        """Lists the tokens of each unit of the source, without padding."""
        found: list[Any] = []
        for _, (x, _, _) in context.chunks():
            rows = _tokens(x, self.pad_token, self.name)
            if context.source.unit == "batch":
                rows = [np.concatenate(rows)]
            found += rows
        return found


class SequenceLength(_TokenDifficulty):
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

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the number of tokens."""
        return np.array([float(len(row)) for row in self.rows(context)])


class TokenRarity(_TokenDifficulty):
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

    def score(self, context: ScoringContext) -> np.ndarray:
        """Returns the sum of negative log frequencies of each sequence."""
        rows = self.rows(context)
        lengths = np.array([len(row) for row in rows])
        flat = np.concatenate([np.asarray(row) for row in rows])
        _, place, counts = np.unique(
            flat, return_inverse=True, return_counts=True
        )
        rarity = -np.log(counts / counts.sum())[place]
        owner: np.ndarray = np.repeat(np.arange(len(rows)), lengths)
        return np.bincount(owner, weights=rarity, minlength=len(rows))


def _tokens(x: Any, pad_token: int, name: str) -> list[Any]:
    for leaf in keras.tree.flatten(x):
        if leaf.dtype.kind in "iu" and leaf.ndim == 2:
            return [row[row != pad_token] for row in leaf]
        if leaf.dtype.kind in "OSU" and leaf.ndim in (1, 2):
            texts = leaf.reshape(-1)
            return [
                (t.decode() if isinstance(t, bytes) else str(t)).split()
                for t in texts
            ]
    shapes = [(leaf.dtype.name, leaf.shape) for leaf in keras.tree.flatten(x)]
    raise ValueError(
        f"Argument `difficulty` {name!r} needs integer tokens of shape "
        "(samples, steps) or strings as inputs; pass an array of scores for "
        f"other data. Received: x with {shapes}"
    )
