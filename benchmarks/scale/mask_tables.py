"""Markdown table of the mask updates of a large network."""

import statistics
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from benchmarks.scale import masks

HEAD = ["backend", "allocation", "update", "memory", "CPU s", "rounds", "masks"]


def update_table() -> str:
    """Returns memory and CPU time, before and now, of both updates."""
    if not (RESULTS / f"{masks.NAME}.json").exists():
        return "Not measured yet."
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
    if not any(versions.values()):
        return ["not run"] * 4
    memory, cpu = (
        [_median(rows, f"{update} {what}") for rows in versions.values()]
        for what in ("memory", "cpu")
    )
    counts = [len(rows) for rows in versions.values()]
    checksums = {row["masks"] for rows in versions.values() for row in rows}
    same = "equal" if len(checksums) == 1 else "DIFFER"
    return [
        " -> ".join(memory),
        " -> ".join(cpu),
        ", ".join(str(count) for count in counts),
        same if all(counts) else "not compared",
    ]


def _median(rows: list[dict[str, Any]], name: str) -> str:
    if not rows:
        return "not run"
    return f"{statistics.median(row[name] for row in rows):.2f}"


TABLES = {"scale masks": update_table}
