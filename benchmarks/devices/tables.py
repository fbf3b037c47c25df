"""The table of devices, made from JSON alone."""

from collections import defaultdict
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

LOWERING = "devices_lowering"
AGREEMENT = "devices_agreement_tensorflow"
HEAD = [
    "component",
    "lowered for TPU and CUDA by JAX",
    "weights with and without XLA on TensorFlow",
]
# Components that XLA on TensorFlow does not train, and what happens.
NOT_WITH_XLA = {
    "callbacks.ArchitectureSearch": (
        "aborts the process on a CPU, see its "
        "[limits](architecture_search.md#limits)"
    ),
}


def support_table() -> str:
    """Returns one line per component: the worst of its cases."""
    lowered, agreed = (_by_component(name) for name in (LOWERING, AGREEMENT))
    body = [
        [
            f"`{component}`",
            _lowering(lowered[component]),
            NOT_WITH_XLA.get(component) or _agreement(agreed[component]),
        ]
        for component in {**dict(lowered), **dict(agreed)}
    ]
    return markdown(HEAD, body)


def versions() -> str:
    """Returns the packages with which the cases were trained."""
    found = {}
    for name in (LOWERING, AGREEMENT):
        for run in load(name)["runs"] if _exists(name) else []:
            found.update(run["environment"])
    names = ("keras", "tensorflow", "jax")
    return ", ".join(f"{name} {found[name]}" for name in names if name in found)


def _exists(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


def _by_component(name: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in load(name)["rows"] if _exists(name) else []:
        found[row["component"]].append(row)
    return found


def _lowering(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "not run"
    failures = [text for row in rows for text in row["failures"]]
    if failures:
        return f"no: {failures[0][:100]}"
    return f"yes ({sum(row['lowered'] for row in rows)})"


def _agreement(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "not run"
    failed = [row["failed"] for row in rows if "failed" in row]
    if failed:
        return f"no: {failed[0][:100]}"
    worst = max(row["weights"] for row in rows)
    return "equal" if worst == 0 else f"differ by {worst:.1e} at most"
