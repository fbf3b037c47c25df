"""Markdown tables of alternating and straight-through training, and of LoRA."""

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load
from benchmarks.sparse_training import alternating, lora


def accuracy_table() -> str:
    """Returns mean test accuracy and its spread, by sparsity."""
    rows = load(alternating.NAME)["rows"]
    columns = [("dense", 0.0), ("2:4", None)]
    columns += [(f"{100 * level:.0f} %", level) for level in alternating.LEVELS]
    arms = dict.fromkeys(row["arm"] for row in rows)
    parts = []
    for optimizer, title in alternating.SETTINGS["optimizers"].items():
        own = [row for row in rows if row["optimizer"] == optimizer]
        body = [
            [arm, *(_cell(own, arm, level) for _, level in columns)]
            for arm in arms
        ]
        head = [title, *(name for name, _ in columns)]
        parts.append(markdown(head, body))
    return "\n\n".join(parts)


def lora_table() -> str:
    """Returns mean test accuracy and its spread after fine-tuning."""
    rows = load(lora.NAME)["rows"]
    body = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == arm]
        share = statistics.mean(row["sparsity"] for row in own)
        found = _spread(row["accuracy"] for row in own)
        body.append([arm, found, f"{100 * share:.0f} %"])
    return markdown(["arm", "accuracy, %", "zeros"], body)


def _cell(rows: list[dict[str, Any]], arm: str, level: float | None) -> str:
    own = [r for r in rows if (r["arm"], r["sparsity_set"]) == (arm, level)]
    return _spread(row["accuracy"] for row in own) if own else "-"


def _spread(values: Iterable[float]) -> str:
    found = list(values)
    spread = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
    return f"{statistics.mean(found):.1f}{spread} ({len(found)})"


TABLES = {
    "sparse training alternating": accuracy_table,
    "sparse training lora": lora_table,
}
