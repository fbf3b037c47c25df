"""Table of confirmed winners, from its JSON alone."""

from collections.abc import Callable

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "hpo_confirm"
ERRORS = 2.0  # Standard errors that tell a difference.


def table() -> str:
    """Returns a row per table, the noisiest first."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    rows = sorted(load(NAME)["rows"], key=lambda row: -row["noise"])
    body = [
        [
            row["table"].replace("_", " "),
            f"{row['noise']:.2g}",
            f"{row['optimism']:.2g}",
            str(row["new"]),
            f"{row['gain']:+.2g} ({row['error']:.1g})",
            f"{row['better']:.0%} / {row['worse']:.0%}",
            _word(row["gain"], row["error"]),
        ]
        for row in rows
    ]
    head = [
        "table",
        "noise of a seed",
        "optimism of the winner",
        "new seeds",
        "gain by `confirm=3` (standard error)",
        "searches better / worse",
        "so",
    ]
    return markdown(head, body)


def _word(gain: float, error: float) -> str:
    if abs(gain) < ERRORS * error:
        return "no difference"
    return "better" if gain > 0 else "**worse**"


TABLES: dict[str, Callable[[], str]] = {"hpo confirm": table}
