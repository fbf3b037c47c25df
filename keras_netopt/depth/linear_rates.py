"""Drop rates that grow linearly with depth."""

from keras_netopt.checks import check_integer, check_probability


def linear_rates(count: int, last: float) -> list[float]:
    """Returns drop rates that grow linearly with depth.

    All later blocks use the features of early ones, so early blocks are
    dropped less often. The drop rate of block l of L is `last * l / L`; the
    expected number of blocks that run is `sum(1 - rate)`.

    Example:

    >>> linear_rates(4, 0.5)
    [0.125, 0.25, 0.375, 0.5]

    Args:
        count: Number of blocks, at least 1.
        last: Drop rate of the last block, a float in [0, 1].

    Returns:
        One rate per block, in order.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Huang et al., "Deep networks with stochastic depth", 2016,
        https://arxiv.org/abs/1603.09382 (p_L = 1 - `last`).
    """
    count = check_integer(count, "count", minimum=1)
    last = check_probability(last, "last")
    return [last * (k + 1) / count for k in range(count)]
