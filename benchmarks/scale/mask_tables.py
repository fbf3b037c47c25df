"""Markdown table of the mask updates of a large network."""

import statistics
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load
from benchmarks.scale import masks

HEAD = ["backend", "allocation", "update", "memory", "CPU s", "rounds", "masks"]


def update_table() -> str:
    """Returns memory and CPU time, before and now, of both updates."""
    rows = load(masks.NAME)["rows"]
    body = []
    for backend in masks.BACKENDS:
        for allocation in masks.ALLOCATIONS:
            key = {"backend": backend, "allocation": allocation}
            own = [r for r in rows if key.items() <= r.items()]
            versions = {
                name: [row for row in own if row["version"] == name]
                for name in ("before", "now")
            }
            for update in ("first", "next"):
                body.append(
                    [backend, allocation, update, *_cells(versions, update)]
                )
    return markdown(HEAD, body)


def _cells(versions: dict[str, list[dict[str, Any]]], update: str) -> list[str]:
    if not all(versions.values()):
        return ["not run"] * 4
    memory, cpu = (
        {
            name: statistics.median(row[f"{update} {what}"] for row in rows)
            for name, rows in versions.items()
        }
        for what in ("memory", "cpu")
    )
    checksums = {row["masks"] for rows in versions.values() for row in rows}
    return [
        f"{memory['before']:.2f} -> {memory['now']:.2f}",
        f"{cpu['before']:.2f} -> {cpu['now']:.2f} "
        f"({cpu['now'] / cpu['before']:.2f})",
        str(min(len(rows) for rows in versions.values())),
        "equal" if len(checksums) == 1 else "DIFFER",
    ]


TABLES = {"scale masks": update_table}
