"""One run of a file in TFLite Micro, compared with LiteRT."""

from dataclasses import dataclass
from typing import Any

from keras_netopt.report import Report

RAN, REFUSED, ENDED, NOT_MADE = "ran", "refused", "ended", "not made"


@dataclass(frozen=True)
class RunDifference(Report):
    """The difference of one output between TFLite Micro and LiteRT.

    Example:

    >>> print(RunDifference("output_0", 0.02, 0.01, quantum=0.01))
    output_0 2 quanta

    Args:
        name: The output.
        max_abs_diff: The largest difference of a value.
        max_rel_diff: The same over the largest value of LiteRT.
        quantum: The difference between two neighbouring integers of the
            output, in its unit; `None` where it is computed in floats.
    """

    name: str
    max_abs_diff: float
    max_rel_diff: float
    quantum: float | None = None

    @property
    def quanta(self) -> float | None:
        """The largest difference in output quanta, if it has some."""
        if self.quantum is None:
            return None
        return round(self.max_abs_diff / self.quantum, 3)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the quanta, JSON-safe."""
        return {**super().to_dict(), "quanta": self.quanta}

    def __str__(self) -> str:
        if self.quanta is None:
            return f"{self.name} {self.max_abs_diff:.1g}"
        unit = "quantum" if self.quanta == 1 else "quanta"
        return f"{self.name} {self.quanta:g} {unit}"


@dataclass(frozen=True)
class MicroRun(Report):
    """What happened when TFLite Micro ran a file.

    Example:

    >>> print(MicroRun("ran", samples=8, arena=5000, head=3000, tail=2000))
    ran 8 random inputs; arena 5,000 bytes: activations 3,000, structs 2,000

    Args:
        status: `"ran"`; `"refused"` by the runtime; `"ended"`, if its process
            did; or `"not made"`.
        reason: Why it did not run; `None` if it ran.
        version: The version of `tflite-micro` that is installed.
        samples: Number of inputs that both runtimes ran.
        source: Where the inputs come from: `"random"` or `"given"`.
        outputs: The differences; empty if LiteRT did not run the file.
        arena: Bytes of its memory, recorded on this machine.
        head: The part of it for activations and scratch memory.
        tail: The part of it for structs and state; they are smaller on
            devices of 32 bits.
    """

    status: str
    reason: str | None = None
    version: str | None = None
    samples: int = 0
    source: str = "random"
    outputs: tuple[RunDifference, ...] = ()
    arena: int | None = None
    head: int | None = None
    tail: int | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the runtime cannot run the file."""
        return self.status in (REFUSED, ENDED)

    @property
    def max_abs_diff(self) -> float | None:
        """The largest difference of all outputs, if it was compared."""
        return max((one.max_abs_diff for one in self.outputs), default=None)

    @property
    def max_quanta(self) -> float | None:
        """The largest difference in output quanta, if an output has some."""
        found = [one.quanta for one in self.outputs if one.quanta is not None]
        return max(found, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the largest differences, JSON-safe."""
        return {
            **super().to_dict(),
            "max_abs_diff": self.max_abs_diff,
            "max_quanta": self.max_quanta,
        }

    def __str__(self) -> str:
        if self.status != RAN:
            return f"{self.status}: {self.reason}"
        text = f"{self.status} {self.samples} {self.source} inputs"
        if self.outputs:
            listed = ", ".join(map(str, self.outputs[:3]))
            more = ", ..." if len(self.outputs) > 3 else ""
            text += f", differs from LiteRT by at most {listed}{more}"
        if self.arena is None:
            return text
        return (
            f"{text}; arena {self.arena:,} bytes: activations "
            f"{self.head:,}, structs {self.tail:,}"
        )
