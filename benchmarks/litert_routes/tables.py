"""Markdown tables of the routes, made from their JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "litert_routes"
EXACT = 1e-5  # Of the largest output.
VERSIONS = ("keras", "tensorflow", "ai-edge-litert", "ai-edge-quantizer")
Row = dict[str, Any]


def verdict(row: Row) -> str:
    """One line on a row, for the console."""
    return f"on grid: {row['on_grid']} | {_result(row)} | {_weights(row)}"


def image_table() -> str:
    """Returns one line per route for the network with convolutions."""
    return _table("image")


def _table(net: str) -> str:
    content = load(NAME)
    rows = [row for row in content["rows"] if row["net"] == net]
    head = [
        "engine",
        "route",
        "trained kernels",
        "kernels on the grid",
        "integers equal",
        "bytes, gzip",
        "weights in the file",
        "left in float",
    ]
    plain = {
        (row["engine"], row["route"]): row for row in rows if not row["on_grid"]
    }
    body = []
    for row in rows:
        if row["on_grid"]:
            before = plain[row["engine"], row["route"]]
            equal = f"{row.get('equal', 0)} of {row.get('compared', 0)}"
            size = f"{row['raw']:,}, {row['gzip']:,}" if "raw" in row else ""
            body.append(
                [
                    row["engine"],
                    row["route"],
                    _result(before),
                    f"{row['bits']} bits: {_result(row)}",
                    equal if row.get("compared") else "",
                    size,
                    _weights(row),
                    _floats(row),
                ]
            )
    used = {row["run"] for row in rows}
    versions = {
        ", ".join(f"{name} {run['environment'][name]}" for name in VERSIONS)
        for number, run in enumerate(content["runs"])
        if number in used
    }
    return f"{markdown(head, body)}\n\nVersions: {'; '.join(sorted(versions))}."


def _result(row: Row) -> str:
    if "failed" in row:
        kind = row["message"].partition(":")[0]
        return f"{row['failed']} ({kind})" if kind else row["failed"]
    if row["difference"] <= EXACT:
        return f"exact ({row['difference']:.0e})"
    text = f"{row['difference']:.2%}, same class {row['same_class']:.1%}"
    if row["same_class_as_float"] < row["same_class"] - 0.01:
        text += f" ({row['same_class_as_float']:.1%} as the float model)"
    return text


def _weights(row: Row) -> str:
    types = row.get("types", {})
    return ", ".join(f"{count} {kind}" for kind, count in types.items())


def _floats(row: Row) -> str:
    floats = row.get("float_weights", {})
    return ", ".join(f"{op} ({count:,})" for op, count in floats.items())


TABLES: dict[str, Callable[[], str]] = {
    "litert routes image": image_table,
}
