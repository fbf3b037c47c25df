"""Random architectures that a found one is compared with."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_netopt.search.zero_cost_proxies.ranking import rank_values

Architecture = dict[str, int]
Cost = Callable[[Mapping[str, int]], float]
DRAWS = 5000  # Random architectures among which those of equal cost are.


def match_cost(
    options: Mapping[str, Sequence[int]],
    found: Mapping[str, int],
    cost: Cost,
    n: int,
    *,
    tolerance: float = 0.05,
    seed: int = 0,
    draws: int = DRAWS,
) -> list[Architecture]:
    """Draws random architectures whose cost is that of a found one.

    Example:

    >>> options = {"a": [0, 1, 2], "b": [0, 1, 2]}
    >>> match_cost(options, {"a": 0, "b": 2}, lambda one: sum(one.values()), 3)
    [{'a': 1, 'b': 1}, {'a': 2, 'b': 0}]

    Args:
        options: The allowed options of each decision, as their indices.
        found: The found architecture, which is not drawn.
        cost: Returns the cost of an architecture.
        n: Number of architectures.
        tolerance: Largest relative difference in cost. Defaults to `0.05`.
        seed: Random seed. Defaults to `0`.
        draws: Number of random ones. Defaults to `5000`.

    Returns:
        Different architectures, fewer than `n` if there are no more among
        the random ones.
    """
    rng = np.random.default_rng(seed)
    target = cost(found)
    seen = {tuple(found[name] for name in options)}
    chosen: list[Architecture] = []
    for _ in range(draws):
        if len(chosen) >= n:
            break
        drawn = {k: int(rng.choice(list(one))) for k, one in options.items()}
        key = tuple(drawn.values())
        if key in seen:
            continue
        seen.add(key)
        if abs(cost(drawn) - target) <= tolerance * abs(target):
            chosen.append(drawn)
    return chosen


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns Spearman's rank correlation; NaN without a spread.

    Example:

    >>> round(rank_correlation([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 9.0]), 6)
    0.8
    """
    if len(x) < 3 or len(set(x)) < 2 or len(set(y)) < 2:
        return float("nan")
    return float(np.corrcoef(rank_values(x), rank_values(y))[0, 1])
