"""Reports and counts what an edit did with the optimizer's slots."""

from collections import Counter
from dataclasses import dataclass, field

from keras_netopt.report import Report


@dataclass(frozen=True)
class SlotReport(Report):
    """Reports what an edit did with the optimizer's slots.

    Example:

    >>> print(SlotReport({"gradient": 4, "gradient2": 4}, fresh=2))
    Optimizer slots: carried 4 gradient, 4 gradient2; 2 new.

    Args:
        carried: Number of preserved slot arrays, by kind.
        fresh: Number of slot arrays of new variables. Defaults to `0`.
        reset: Slots that were set to their initial value: "attribute of
            variable". Defaults to none.
        guessed: Attributes of a custom optimizer class that were treated as
            averages of gradients. Defaults to none.
    """

    carried: dict[str, int] = field(default_factory=dict)
    fresh: int = 0
    reset: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = [f"{n} {kind}" for kind, n in self.carried.items()]
        text = f"Optimizer slots: carried {', '.join(counts) or 'none'}"
        if self.fresh:
            text += f"; {self.fresh} new"
        if self.reset:
            text += f"; reset {', '.join(self.reset)}"
        if self.guessed:
            text += f"; treated as gradients {', '.join(self.guessed)}"
        return text + "."


class SlotCounts:
    """Counts while slots are written."""

    def __init__(self) -> None:
        self.carried: Counter[str] = Counter()
        self.fresh = 0
        self.reset: list[str] = []
        self.guessed: set[str] = set()

    def to_report(self) -> SlotReport:
        return SlotReport(
            dict(self.carried),
            self.fresh,
            tuple(self.reset),
            tuple(sorted(self.guessed)),
        )
