"""One file of a run: its figures, and whether it meets the target."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from keras_netopt.compression.target import Target
from keras_netopt.report import Report

UNITS = {
    "kilobytes": "{:,.1f} kB",
    "gzip_kilobytes": "{:,.1f} kB after gzip",
    "latency_ratio": "{:.2f} x the latency",
    "macs": "{:,.0f} MACs",
}


@dataclass(frozen=True)
class Candidate(Report):
    """One LiteRT file that a run has written and measured.

    Example:

    >>> file = Candidate("int8", "int8", 58.2, 50.1, 0.31, 90_000, 0.88, 0.004)
    >>> file.drop
    0.004

    Args:
        name: What was done, such as "41 % cut, int8".
        format: "float32", or the `quantize` of `export.to_litert`.
        kilobytes: Size in units of 1,000 bytes.
        gzip_kilobytes: Size after gzip, in units of 1,000 bytes.
        latency_ratio: Latency divided by that of the original float32 file.
        macs: Multiply-accumulates per sample.
        score: The metric of the file on the validation data.
        drop: By how much the metric is worse than the original's.
        epochs: Epochs of training until this file. Defaults to `0`.
        cut: Share of the parameters that went with channels. Defaults to
            `0.0`.
        zeros: Share of zeros asked of the kernels. Defaults to `0.0`.
        misses: The limits that the file misses: by name, the value. Defaults
            to none.
        notes: Warnings of the export. Defaults to none.
        file: The file in the folder of the run. Defaults to `""`.
    """

    name: str
    format: str
    kilobytes: float
    gzip_kilobytes: float
    latency_ratio: float
    macs: float
    score: float
    drop: float
    epochs: int = 0
    cut: float = 0.0
    zeros: float = 0.0
    misses: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    file: str = ""

    @property
    def fits(self) -> bool:
        """Whether the file meets all limits of the target."""
        return not self.limits_missed

    @property
    def limits_missed(self) -> list[str]:
        """The limits of the target that it misses, without the accuracy."""
        return [name for name in self.misses if name != "max_drop"]

    @property
    def meets(self) -> bool:
        """Whether it meets all limits and loses at most `max_drop`."""
        return not self.misses

    def dominates(self, other: "Candidate") -> bool:
        """Whether it is nowhere worse than another file, somewhere better."""
        mine, theirs = (
            (c.kilobytes, c.gzip_kilobytes, c.latency_ratio, c.drop)
            for c in (self, other)
        )
        pairs = list(zip(mine, theirs, strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def find_misses(
    figures: Mapping[str, float],
    target: Target,
    macs: float,
    max_drop: float,
) -> dict[str, float]:
    """Returns the limits that a file misses, with its values.

    Args:
        figures: Values by the names of the limits, and "drop".
        target: The limits.
        macs: Multiply-accumulates of the original model.
        max_drop: Largest drop of the metric.
    """
    limits = {**target.limits, "macs": target.max_macs(macs)}
    missed = {
        name: figures[name]
        for name, limit in limits.items()
        if limit is not None and figures[name] > limit
    }
    drop = figures["drop"]
    if not drop <= max_drop + 1e-9:
        missed["max_drop"] = drop
    return missed


def excess(candidate: Candidate, target: Target, macs: float) -> float:
    """Returns how far a file is from the limits, 0 if it meets them.

    It is the largest logarithm of a value divided by its limit.
    """
    limits = {**target.limits, "macs": target.max_macs(macs)}
    return max(
        0.0,
        *(
            math.log(getattr(candidate, name) / limit)
            for name, limit in limits.items()
            if limit is not None
        ),
    )


def describe_limit(name: str, value: float) -> str:
    """Describes the value of a limit.

    Example:

    >>> describe_limit("kilobytes", 61.25)
    '61.2 kB'
    """
    return UNITS[name].format(value)
