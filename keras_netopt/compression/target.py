"""The limits that a compressed file has to meet."""

import numbers
from dataclasses import dataclass

from keras_netopt.checks import (
    check_choice,
    check_integer,
    check_positive,
)

IO = ("float32", "int8", "uint8")


@dataclass(frozen=True)
class Target:
    """Limits for the LiteRT file of a model, for `compress` and `recipe`.

    Give at least one limit; a file meets the target if it meets all of them.
    Accuracy is no part of it: that is `max_drop` of `compress`.

    Example:

    >>> import keras_netopt as netopt
    >>> netopt.Target(kilobytes=60, latency_ratio=0.33, io="int8")
    Target(kilobytes=60, latency_ratio=0.33, io='int8')

    Args:
        kilobytes: Size of the file as it lies on the device, in units of
            1,000 bytes. Defaults to `None`: any.
        gzip_kilobytes: Size of the download: the file after gzip at level 9,
            in units of 1,000 bytes. Defaults to `None`: any.
        latency_ratio: Latency of the file divided by that of the original
            model's float32 LiteRT file, in (0, 1]: 0.33 is three times
            faster. Both files are measured in turn on this machine, with
            batch 1 on one thread. Defaults to `None`: any.
        macs: Multiply-accumulates per sample: an int, or a float in (0, 1),
            the share of the original model's. Defaults to `None`: any.
        io: The dtype of the file's inputs and outputs: "float32", "int8" or
            "uint8". Integer weights and activations are allowed in all three.
            Defaults to `"float32"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or no limit is given.
    """

    kilobytes: float | None = None
    gzip_kilobytes: float | None = None
    latency_ratio: float | None = None
    macs: float | int | None = None
    io: str = "float32"

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("kilobytes", "gzip_kilobytes", "latency_ratio"):
            if getattr(self, name) is not None:
                check_positive(getattr(self, name), name)
        if self.latency_ratio is not None and self.latency_ratio > 1:
            raise ValueError(
                "Argument `latency_ratio` must be in (0, 1], the latency of "
                "the file divided by that of the original float32 file; "
                "three times faster is 0.33. "
                f"Received: latency_ratio={self.latency_ratio!r}"
            )
        _check_macs(self.macs)
        check_choice(self.io, "io", IO)
        if not self.limits:
            raise ValueError(
                "A `Target` must have at least one limit of `kilobytes`, "
                "`gzip_kilobytes`, `latency_ratio` and `macs`. "
                f"Received: io={self.io!r} only"
            )

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are given, by the name of the argument."""
        names = ("kilobytes", "gzip_kilobytes", "latency_ratio", "macs")
        return {
            name: getattr(self, name)
            for name in names
            if getattr(self, name) is not None
        }

    def max_macs(self, original: float) -> float | None:
        """Returns the limit in multiply-accumulates per sample.

        Args:
            original: Those of the original model.

        Returns:
            The limit, or `None` if there is none.
        """
        if isinstance(self.macs, numbers.Integral) or self.macs is None:
            return self.macs
        return self.macs * original

    def __repr__(self) -> str:
        """Shows the arguments that are given."""
        rows = [f"{name}={value!r}" for name, value in self.limits.items()]
        if self.io != "float32":
            rows.append(f"io={self.io!r}")
        return f"Target({', '.join(rows)})"


def _check_macs(macs: float | int | None) -> None:
    if macs is None:
        return
    if isinstance(macs, numbers.Integral):
        check_integer(macs, "macs", minimum=1)
        return
    if not 0 < check_positive(macs, "macs") < 1:
        raise ValueError(
            "Argument `macs` must be an int, the multiply-accumulates per "
            "sample, or a float in (0, 1), their share of the original "
            f"model's. Received: macs={macs!r}"
        )
