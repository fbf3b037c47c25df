"""Computes what each cost gains if one layer gets narrower."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from keras_netopt.surgery.cutting.cut_to_widths import LayerWidth

Count = Callable[[dict[str, int]], dict[str, float]]


def count_gains(
    layers: Sequence[LayerWidth], count: Count
) -> dict[str, np.ndarray]:
    """Returns the gains in parameters and MACs.

    The gain of a layer is the exponent with which a cost follows the share of
    its channels that is kept, measured at half of them.

    Args:
        layers: The layers whose width may be reduced.
        count: Counts costs by name at some widths.

    Returns:
        For each cost by name, the gain of each layer.
    """
    whole = count({})
    rows = [count({one.name: _half(one)}) for one in layers]
    steps = np.array([math.log(one.width / _half(one)) for one in layers])
    return {
        name: np.array([math.log(whole[name] / row[name]) for row in rows])
        / steps
        for name in whole
        if whole[name] > 0
    }


def _half(layer: LayerWidth) -> int:
    return max(1, layer.width // 2, layer.floor)
