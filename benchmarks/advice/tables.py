"""Markdown tables of the files, made from their JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "advice"
NORMALIZATION = "normalization"


def files_table() -> str:
    """Returns bytes and time of each file, one table per network."""
    rows = load(NAME)["rows"]
    nets = dict.fromkeys(row["net"] for row in rows)
    tables = []
    for net in nets:
        if net == NORMALIZATION:
            continue
        body = [
            [
                row["arm"],
                f"{row['raw']:,}",
                f"{row['gzip']:,}",
                f"{row['milliseconds']:.3g}",
                _ratio(row),
            ]
            for row in rows
            if row["net"] == net
        ]
        head = [net, "bytes", "gzip", "ms", "time / float32"]
        tables.append(markdown(head, body))
    return "\n\n".join(tables)


def normalization_table() -> str:
    """Returns ops and time of both orders."""
    rows = [r for r in load(NAME)["rows"] if r["net"] == NORMALIZATION]
    body = [
        [
            row["arm"],
            str(row["ops"].get("MUL", 0)),
            str(row["ops"].get("ADD", 0)),
            f"{row['milliseconds']:.3g}",
            _ratio(row),
        ]
        for row in rows
    ]
    head = ["BatchNormalization", "MUL", "ADD", "ms", "time / before"]
    return markdown(head, body)


def _ratio(row: dict[str, Any]) -> str:
    ratios = sorted(row["ratios"])
    middle = ratios[len(ratios) // 2]
    return f"{middle:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"


TABLES: dict[str, Callable[[], str]] = {
    "advice files": files_table,
    "advice normalization": normalization_table,
}
