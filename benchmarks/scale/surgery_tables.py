"""Markdown table of the memory of edits, from its JSON alone."""

from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load
from benchmarks.scale import surgery

TITLES = {
    "prune_channels": "`prune_channels`",
    "widen": "`widen` of one layer",
    "growing": "`Growing`, all layers at once",
    "plain_fit": "`fit` without a callback",
}


def memory_table() -> str:
    """Returns the peaks as shares of the bytes of the larger model."""
    rows = load(surgery.NAME)["rows"]
    head = ["edit", "network", "optimizer", "weights before → after, MB"]
    body = []
    for key in dict.fromkeys(_key(row) for row in rows):
        own = {row["backend"]: row for row in rows if _key(row) == key}
        first = next(iter(own.values()))
        millions, operation, net, optimizer = key
        size = f"{first['model_bytes'] / 1e6:.0f} → "
        cells = [_cell(own.get(name)) for name in surgery.BACKENDS]
        body.append(
            [
                TITLES[operation],
                f"{net}, {millions} M",
                optimizer,
                size + f"{first['new_bytes'] / 1e6:.0f}",
                *cells,
            ]
        )
    return markdown([*head, *surgery.BACKENDS], body)


def _key(row: dict[str, Any]) -> tuple[int, str, str, str]:
    return row["millions"], row["operation"], row["net"], row["optimizer"]


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    size = max(row["model_bytes"], row["new_bytes"])
    return (
        f"{row['peak'] / size:.2f} ({row['kept'] / size:+.2f}), "
        f"{row['resident'] / 1e9:.1f} GB, {row['cpu']:.1f} s"
    )


TABLES = {"scale surgery": memory_table}
