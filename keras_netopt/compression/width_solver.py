"""Distributes a cut over the layers by what each layer gains."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_netopt.surgery.cutting.cut_to_widths import LayerWidth

Widths = dict[str, int]
TIMED = "latency_ratio"


@dataclass(frozen=True, eq=False)
class WidthSolver:
    """Finds the smallest cut that divides several costs by given factors.

    A cost is taken for a product of powers: if the layer b keeps the share
    k_b of its channels, the cost is multiplied by k_b to the power g_b, its
    gain. Among the widths that meet all factors, those with a small sum of
    squares of log(k_b) are looked for: one step after another is taken where
    it brings the most of what is still missing, for what it adds to that sum.

    Kernels of the runtime compute a multiple of some channels, so that a
    width in between costs the time of the next multiple: widths are multiples
    of `step`, and below it only other costs fall.

    Args:
        layers: The layers whose width may be reduced.
        gains: For each cost by name, the gain of each layer, at least 0.
        step: Multiple of the widths; for the time of a file the kernels' own.
            Defaults to `1`.
    """

    layers: Sequence[LayerWidth]
    gains: Mapping[str, np.ndarray]
    step: int = 1

    def solve(self, demands: Mapping[str, float]) -> Widths:
        """Returns the width of each layer.

        Args:
            demands: By how much each cost is to be divided, as a logarithm;
                0 or less is no demand.
        """
        options = [list_widths(one, self.step) for one in self.layers]
        places = [0] * len(options)
        left = {name: value for name, value in demands.items() if value > 0}
        while any(value > 1e-9 for value in left.values()):
            steps = [
                (self._worth(k, options[k], places[k], left, demands), k)
                for k in range(len(options))
                if places[k] + 1 < len(options[k])
            ]
            worth, k = max(steps, default=(0.0, -1))
            if worth <= 0:
                break
            before, after = options[k][places[k] : places[k] + 2]
            places[k] += 1
            for name in left:
                left[name] -= self._saving(name, k, before, after)
        return {
            one.name: widths[place]
            for one, widths, place in zip(
                self.layers, options, places, strict=True
            )
        }

    def size(self, widths: Mapping[str, int]) -> float:
        """Returns the sum of squares of the logarithms of the shares kept."""
        return sum(
            math.log(one.width / widths[one.name]) ** 2 for one in self.layers
        )

    @property
    def narrowest(self) -> Widths:
        """The smallest widths."""
        return {
            one.name: list_widths(one, self.step)[-1] for one in self.layers
        }

    def _worth(
        self,
        k: int,
        widths: Sequence[int],
        place: int,
        left: Mapping[str, float],
        demands: Mapping[str, float],
    ) -> float:
        before, after = widths[place], widths[place + 1]
        gain = sum(
            max(0.0, min(self._saving(name, k, before, after), value))
            / demands[name]
            for name, value in left.items()
        )
        whole = widths[0]
        lost = math.log(whole / after) ** 2 - math.log(whole / before) ** 2
        return gain / lost

    def _saving(self, name: str, k: int, before: int, after: int) -> float:
        """Returns the logarithm of the factor by which a cost falls."""
        if name == TIMED:
            before, after = (
                -(-width // self.step) * self.step for width in (before, after)
            )
        return float(self.gains[name][k]) * math.log(before / after)


def list_widths(layer: LayerWidth, step: int) -> list[int]:
    """Returns the widths that a layer may have, the present one first.

    Example:

    >>> list_widths(LayerWidth("conv", 40, 4), 16)
    [40, 32, 16, 8, 4]
    """
    found = [layer.width]
    found += range((layer.width - 1) // step * step, 0, -step)
    while found[-1] // 2 >= layer.floor and found[-1] > 1:
        found.append(found[-1] // 2)
    return [width for width in found if width >= min(layer.floor, layer.width)]
