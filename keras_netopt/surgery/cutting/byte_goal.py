"""Finds the widths at which the file of a model has a size."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_netopt.surgery.cutting.width_search import (
    UnitRanking,
    Widths,
    find_widths,
)

MEASUREMENTS = 6
Point = tuple[float, float]  # Parameters and bytes.
NEAR = 0.005  # Of the goal: the file may be this much smaller.


@dataclass(frozen=True)
class ByteGoal:
    """The cut whose file has the bytes asked for.

    Args:
        asked: The widths that the allocation asks for.
        widths: The same rounded.
        share: The share of the model's current parameters that is removed.
        before: Bytes of the file before the cut.
        note: The files measured, for the report.
    """

    asked: Widths
    widths: Widths
    share: float
    before: float
    note: str


def find_byte_widths(
    ranking: UnitRanking,
    count: Callable[[Widths], float],
    measure: Callable[[Widths], float],
    goal: Callable[[float], float],
) -> ByteGoal:
    """Finds the smallest cut whose file meets a goal, with a few files.

    The bytes of a file are nearly a line over the parameters: their bits, and
    what every file holds. Each file that is measured corrects the line.

    Args:
        ranking: The units, the least important first.
        count: The parameters at some widths.
        measure: The bytes of the file at some widths.
        goal: The bytes asked for, of those before the cut.

    Returns:
        The largest file measured that meets the goal; if none does, the
        smallest.
    """
    now = ranking.now
    before, whole = measure(now), count(now)
    wanted = goal(before)
    measured, cuts = {now: before}, {now: now}
    points = [(whole, before)]
    while len(measured) < MEASUREMENTS and before > wanted:
        tries = [find_widths(ranking, count, t) for t in _guess(points, wanted)]
        new = [pair for pair in tries if pair[1] not in measured]
        if not new:
            break
        asked, widths = new[0]
        size = measure(widths)
        measured[widths], cuts[widths] = size, asked
        points.append((count(widths), size))
        if wanted * (1 - NEAR) <= size <= wanted:
            break
    best = _choose(measured, wanted)
    sizes = ", ".join(f"{one:,.0f}" for one in measured.values())
    note = (
        f"file: {measured[best]:,.0f} bytes, {wanted:,.0f} were asked; "
        f"{len(measured)} files measured: {sizes}"
    )
    share = 1 - count(best) / whole
    return ByteGoal(cuts[best], best, share, before, note)


def _guess(points: list[Point], wanted: float) -> list[float]:
    """Returns numbers of parameters at which to measure, the best first."""
    whole, before = points[0]
    above = min((p for p in points if p[1] > wanted), key=lambda p: p[0])
    below = max((p for p in points if p[1] <= wanted), default=None)
    if below is None:
        # At first, all bytes count as parameters.
        drop = before - above[1]
        slope = drop / (whole - above[0]) if drop > 0 else before / whole
        target = above[0] - (above[1] - wanted) / slope
        return [min(target, above[0] - 1)]
    share = (wanted - below[1]) / (above[1] - below[1])
    gap = above[0] - below[0]
    # Sizes may jump: a kernel below 1,024 weights is not quantized.
    return [below[0] + min(max(share, 0.1), 0.9) * gap, below[0] + gap / 2]


def _choose(measured: dict[Widths, float], wanted: float) -> Widths:
    met = [widths for widths, size in measured.items() if size <= wanted]
    if met:
        return max(met, key=measured.__getitem__)
    return min(measured, key=measured.__getitem__)
