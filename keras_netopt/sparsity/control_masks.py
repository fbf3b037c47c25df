"""Masks of control arms: as sparse as another mask, otherwise random."""

import numpy as np

from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.patterns import NM, Pattern


def shuffle_units(
    mask: np.ndarray,
    view: KernelView,
    pattern: Pattern,
    rng: np.random.Generator,
) -> np.ndarray:
    """Shuffles a mask so that it still fits a pattern.

    A mask that trains no better than its own shuffle owes its result to the
    density of each layer alone (Frankle et al., 2020,
    https://arxiv.org/abs/2009.08576).

    Runs of n:m are shuffled inside, blocks and channels as a whole among
    those of equal size, and each matrix of a stack by itself.

    Args:
        mask: A boolean array in the shape of the weight, `True` = kept.
        view: The view of the weight.
        pattern: The pattern of the mask.
        rng: The generator of random numbers.
    """
    parts = [
        _shuffle_matrix(part, pattern, rng)
        for part in np.hsplit(view.to_2d(mask), view.stack)
    ]
    return np.ascontiguousarray(view.from_2d(np.hstack(parts)))


def _shuffle_matrix(
    mask: np.ndarray, pattern: Pattern, rng: np.random.Generator
) -> np.ndarray:
    shape = (mask.shape[0], mask.shape[1])
    if isinstance(pattern, NM):
        runs = rng.permuted(pattern.runs(mask), axis=0)
        return pattern.join(runs, shape)
    units = pattern.pool(mask.astype(np.float32)) > 0
    sizes = pattern.sizes(shape)
    shuffled = units.copy()
    for size in np.unique(sizes):
        shuffled[sizes == size] = rng.permutation(units[sizes == size])
    return np.asarray(pattern.spread(shuffled, shape))
