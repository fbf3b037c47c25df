"""Connected components of a graph, in NumPy.

SciPy is not a requirement of this package or of Keras, so its
`connected_components` cannot be used here.
"""

from collections.abc import Sequence

import numpy as np


def connected_components(
    count: int, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Computes the connected components of a graph of `count` units.

    `pairs` holds pairs of arrays of equal length; the units at each position
    are connected. Components are numbered by their first units.

    Example:

    >>> connected_components(5, [(np.array([0, 1]), np.array([3, 4]))])
    array([0, 1, 2, 0, 1])
    """
    parent = np.arange(count)
    empty: list[np.ndarray] = [np.zeros(0, "int64")]
    left = np.concatenate(empty + [np.asarray(a) for a, _ in pairs])
    right = np.concatenate(empty + [np.asarray(b) for _, b in pairs])
    while len(left):
        one, other = parent[left], parent[right]
        apart = one != other
        if not apart.any():
            break
        left, right = left[apart], right[apart]
        low = np.minimum(one, other)[apart]
        np.minimum.at(parent, one[apart], low)
        np.minimum.at(parent, other[apart], low)
        while (parent[parent] != parent).any():
            parent = parent[parent]
    return np.unique(parent, return_inverse=True)[1].reshape(-1)
