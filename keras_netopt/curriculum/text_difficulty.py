"""Difficulties of text: how long it is and how rare its words are."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.difficulty import Difficulty, Scoring


class Length(Difficulty):
    """How many tokens a sequence has: `difficulty="length"`.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.difficulty import Scoring
    >>> from keras_netopt.curriculum.sources import ArraySource
    >>> source = ArraySource(np.array([[5, 6, 0], [7, 0, 0]]))
    >>> Length().score(Scoring(source, None, {}))
    array([2., 1.])

    Args:
        pad: Number that fills sequences up. Defaults to `0`.

    Reference:
        Platanios et al., 2019, https://arxiv.org/abs/1903.09848.
    """

    name = "length"

    def __init__(self, pad: int = 0):
        self.pad = pad

    def score(self, scoring: Scoring) -> np.ndarray:
        """Returns the number of tokens."""
        found = []
        for _, (x, _, _) in scoring.chunks():
            rows = _tokens(x, self.pad, self.name, scoring.source.unit)
            found.append([float(len(row)) for row in rows])
        return np.concatenate(found)


class Rarity(Difficulty):
    """How rare the tokens of a sequence are: `difficulty="rarity"`.

    The sum of minus the logarithm of each token's share of all tokens, so
    long sequences are harder too.

    Example:

    >>> import numpy as np
    >>> from keras_netopt.curriculum.difficulty import Scoring
    >>> from keras_netopt.curriculum.sources import ArraySource
    >>> source = ArraySource(np.array([[5, 5], [5, 6]]))
    >>> Rarity().score(Scoring(source, None, {})).round(3)
    array([0.575, 1.674])

    Args:
        pad: Number that fills sequences up. Defaults to `0`.

    Reference:
        Platanios et al., 2019, https://arxiv.org/abs/1903.09848.
    """

    name = "rarity"

    def __init__(self, pad: int = 0):
        self.pad = pad

    def score(self, scoring: Scoring) -> np.ndarray:
        """Returns the sum of the tokens' rarities."""
        rows: list[Any] = []
        for _, (x, _, _) in scoring.chunks():
            rows += _tokens(x, self.pad, self.name, scoring.source.unit)
        lengths = np.array([len(row) for row in rows])
        flat = np.concatenate([np.asarray(row) for row in rows])
        _, place, counts = np.unique(
            flat, return_inverse=True, return_counts=True
        )
        rarity = -np.log(counts / counts.sum())[place]
        owner: np.ndarray = np.repeat(np.arange(len(rows)), lengths)
        return np.bincount(owner, weights=rarity, minlength=len(rows))


def _tokens(x: Any, pad: int, name: str, unit: str) -> Sequence[Any]:
    """Tokens of each sample without padding, of each batch for batches."""
    for leaf in keras.tree.flatten(x):
        if leaf.dtype.kind in "iu" and leaf.ndim == 2:
            rows = [row[row != pad] for row in leaf]
            return [np.concatenate(rows)] if unit == "batch" else rows
        if leaf.dtype.kind in "OSU" and leaf.ndim in (1, 2):
            texts = [_as_text(one).split() for one in leaf.reshape(-1)]
            return [sum(texts, [])] if unit == "batch" else texts
    shapes = [(leaf.dtype.name, leaf.shape) for leaf in keras.tree.flatten(x)]
    raise ValueError(
        f"Argument `difficulty` {name!r} needs inputs of token numbers of "
        "shape (samples, steps) or of texts; give an array of scores for "
        f"other data. Received: x with {shapes}"
    )


def _as_text(one: Any) -> str:
    return one.decode() if isinstance(one, bytes) else str(one)
