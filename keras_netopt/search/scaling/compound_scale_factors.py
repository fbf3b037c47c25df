"""Factors of depth, width and resolution, with their rounding."""

import math
from dataclasses import dataclass, field

from keras_netopt.checks import check_at_least, check_integer

# Rounds 1.2 * 5 = 6.000000000000001 down to 6 before the ceiling.
SLACK = 1e-9


@dataclass(frozen=True)
class CompoundScale:
    """Scales the sizes of a network.

    `search.compound_scale` passes it to the function that builds the network.

    Example:

    >>> scale = CompoundScale(depth=1.2, width=1.1, resolution=1.15)
    >>> scale.repeats(2), scale.channels(32), scale.size(224)
    (3, 32, 258)

    Args:
        depth: Factor of the number of blocks, at least 1. Defaults to `1.0`.
        width: Factor of the number of channels. Defaults to `1.0`.
        resolution: Factor of the height and width of images. Defaults to
            `1.0`.
        round_to: Scaled channels are multiples of it. Defaults to `8`.
    """

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0
    round_to: int = 8
    # The sizes that were asked for, by method and argument.
    asked: set[tuple[str, int]] = field(
        default_factory=set, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        for name in ("depth", "width", "resolution"):
            check_at_least(getattr(self, name), name, 1.0)
        check_integer(self.round_to, "round_to", minimum=1)

    def channels(self, count: int) -> int:
        """Scales a number of channels.

        The result is the nearest multiple of `round_to`, or the next one if
        that is less than 90 % of the scaled number. A width of 1 leaves the
        number as it is.
        """
        self.asked.add(("channels", count))
        if self.width == 1.0:
            return count
        exact, unit = count * self.width, self.round_to
        rounded = max(unit, int(exact + unit / 2) // unit * unit)
        return rounded + unit if rounded < 0.9 * exact else rounded

    def repeats(self, count: int) -> int:
        """Scales a number of blocks and rounds it up."""
        self.asked.add(("repeats", count))
        return math.ceil(count * self.depth - SLACK)

    def size(self, pixels: int) -> int:
        """Scales a height or width and rounds it to a whole number."""
        self.asked.add(("size", pixels))
        return round(pixels * self.resolution)
