"""Report of gradual unfreezing: when each group of layers was trained."""

from dataclasses import dataclass

from keras_netopt.fine_tuning.rate_report import shorten
from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class GroupRow:
    """One group of layers.

    Args:
        layers: The paths of its layers.
        parameters: Its number of trainable parameters.
        begin: Training step from which it is trained, or `None` if training
            ended before.
        end: Training step from which it is frozen, or `None` if it is
            trained until the end.
    """

    layers: tuple[str, ...]
    parameters: int
    begin: int | None
    end: int | None


@dataclass(frozen=True)
class UnfreezingReport(Report):
    """Reports which group of layers was trained in which steps.

    Example:

    >>> row = GroupRow(("out",), 51, begin=0, end=None)
    >>> print(UnfreezingReport("unfreeze", (row,)))
    Groups of layers ('unfreeze')
    ┏━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━┳━━━━━┓
    ┃ group ┃ layers ┃ parameters ┃ from ┃ to  ┃
    ┡━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━╇━━━━━┩
    │     0 │ out    │         51 │    0 │ end │
    └───────┴────────┴────────────┴──────┴─────┘

    Args:
        scheme: "unfreeze", "chain_thaw" or "freeze".
        rows: One row per group, in the order in which they open or freeze.
    """

    scheme: str
    rows: tuple[GroupRow, ...]

    def __str__(self) -> str:
        lines = []
        for number, row in enumerate(self.rows):
            until = "end" if row.end is None else f"{row.end:,}"
            if row.begin is None:
                begin, until = "never", ""
            else:
                begin = f"{row.begin:,}"
            shown = shorten(row.layers)
            lines.append([number, shown, row.parameters, begin, until])
        return render(
            ["group", "layers", "parameters", "from", "to"],
            lines,
            title=f"Groups of layers ({self.scheme!r})",
            align="rlrrl",
        )
