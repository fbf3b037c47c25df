"""Masks of control arms: as sparse as another mask, otherwise random."""

import numpy as np


def shuffle_mask(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moves the zeros of a mask to random positions of the same array.

    A mask that trains no better than its own shuffle owes its result to the
    density of each layer alone.

    Example:

    >>> import numpy as np
    >>> mask = np.array([[True, False], [False, False]])
    >>> int(shuffle_mask(mask, np.random.default_rng(0)).sum())
    1

    Args:
        mask: A boolean array, `True` = kept.
        rng: The generator of random numbers.

    Returns:
        A boolean array of the same shape with as many kept entries.

    Reference:
        Frankle et al., 2020, https://arxiv.org/abs/2009.08576.
    """
    return rng.permutation(mask.ravel()).reshape(mask.shape)
