"""Markdown tables of the quantization benchmark, made from its JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.quantization import accuracy, arms, models
from benchmarks.records import RESULTS, load

BACKENDS = ("tensorflow", "jax", "torch")
NETWORKS = {"mlp": "MLP 784-300-100-10", "cnn": "CNN 16-32-64"}

Rows = list[dict[str, Any]]


def accuracy_table() -> str:
    """Returns accuracy, difference to float and bytes: one table a setting."""
    rows = load(accuracy.NAME)["rows"]
    parts = []
    for kind, setting in models.SETTINGS.items():
        own = [row for row in rows if row["setting"] == kind]
        base = _by_seed(own, "float")
        body = [
            _line(name, arm.title, own, base)
            for name, arm in arms.ARMS.items()
            if _by_seed(own, name)
        ]
        head = [
            setting.title,
            "accuracy",
            "against float, points",
            "file",
            "accuracy of the file",
            "bytes",
            "bytes, gzip",
            "same class",
            "largest difference",
        ]
        parts.append(markdown(head, body))
    count = len({row["seed"] for row in rows})
    return "\n\n".join(
        [
            *parts,
            f"Mean of {count} seeds (lowest-highest), test accuracy after the "
            "last epoch; difference paired by seed.",
        ]
    )


def _line(name: str, title: str, rows: Rows, base: dict[int, Any]) -> list[str]:
    own = _by_seed(rows, name)
    values = [row["accuracy"] for row in own.values()]
    gaps = [
        100 * (row["accuracy"] - base[seed]["accuracy"])
        for seed, row in own.items()
        if seed in base
    ]
    files = [row["file"] for row in own.values()]
    shown = {
        key: statistics.mean(file[key] for file in files)
        for key in ("accuracy", "raw", "gzip")
    }
    return [
        title,
        f"{statistics.mean(values):.4f} ({min(values):.4f}-{max(values):.4f})",
        f"{statistics.mean(gaps):+.2f}" if name != "float" else "-",
        next(iter(own.values()))["form"],
        f"{shown['accuracy']:.4f}",
        f"{shown['raw']:,.0f}",
        f"{shown['gzip']:,.0f}",
        *_against_model(files),
    ]


def _against_model(files: Rows) -> list[str]:
    if not all("same_class" in file for file in files):
        return ["-", "-"]
    same = statistics.mean(file["same_class"] for file in files)
    widest = max(file["difference"] for file in files)
    return [f"{same:.2%}", f"{widest:.2g}"]


def goal_table() -> str:
    """Returns what was aimed at, what came out, and whether it was met."""
    rows = load(accuracy.NAME)["rows"]
    body = []
    for title, kind, arm, lost, limit in _GOALS:
        own = [row for row in rows if row["setting"] == kind]
        base, found = _by_seed(own, "float"), _by_seed(own, arm)
        if not found or not base:
            continue
        key = _file_accuracy if arm == "ranges-8" else _accuracy
        gap = 100 * statistics.mean(
            key(row) - base[seed]["accuracy"] for seed, row in found.items()
        )
        size = statistics.mean(row["file"]["gzip"] for row in found.values())
        met = gap >= -lost and (limit is None or size <= limit)
        body.append(
            [
                title,
                f"{gap:+.2f} points, {size:,.0f} B",
                "yes" if met else "**no**",
            ]
        )
    return markdown(["goal (gzip bytes)", "measured", "met"], body)


_GOALS: tuple[tuple[str, str, str, float, int | None], ...] = (
    ("MLP, 4 bits: at most .2 points lost", "mlp", "trained-4", 0.2, None),
    ("MLP, 2 bits: at most .7 points lost", "mlp", "trained-2", 0.7, None),
    (
        "MLP, 90 % zeros, 4 bits: 36 kB, at most the spread of a seed (.3)",
        "mlp-90",
        "trained-4",
        0.3,
        36_000,
    ),
    (
        "MLP, 90 % zeros, 2 bits: 26 kB, at most .7 points lost",
        "mlp-90",
        "trained-2",
        0.7,
        26_000,
    ),
    (
        "MobileNet-like, int8 file: at most .1 points lost",
        "mobile",
        "ranges-8",
        0.1,
        None,
    ),
    (
        "MobileNet-like, 4 bits: at most 1 point lost",
        "mobile",
        "trained-4",
        1.0,
        None,
    ),
)


def overhead_table() -> str:
    """Returns time ratios of a step to plain `fit`."""
    body = []
    for backend in BACKENDS:
        name = f"quantization_overhead_{backend}"
        if not (RESULTS / f"{name}.json").exists():
            continue
        rows = load(name)["rows"]
        for kind, title in NETWORKS.items():
            own = [row for row in rows if row["model"] == kind]
            for arm in dict.fromkeys(row["arm"] for row in own):
                base = "tf_keras plain" if arm == "tfmot QAT" else "plain"
                if arm not in ("plain", "tf_keras plain"):
                    ratio = _ratio(own, arm, base)
                    body.append([backend, title, f"{arm} / {base}", ratio])
    return markdown(["backend", "network", "arm", "CPU time"], body)


def _ratio(rows: Rows, arm: str, base: str) -> str:
    times = {(row["arm"], row["round"]): row["cpu"] for row in rows}
    rounds = sorted({row["round"] for row in rows})
    ratios = [times[arm, r] / times[base, r] for r in rounds]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} ({low:.2f}-{high:.2f})"


def _by_seed(rows: Rows, arm: str) -> dict[int, dict[str, Any]]:
    return {row["seed"]: row for row in rows if row["arm"] == arm}


def _accuracy(row: dict[str, Any]) -> float:
    value: float = row["accuracy"]
    return value


def _file_accuracy(row: dict[str, Any]) -> float:
    value: float = row["file"]["accuracy"]
    return value


TABLES: dict[str, Callable[[], str]] = {
    "quantization accuracy": accuracy_table,
    "quantization goals": goal_table,
    "quantization overhead": overhead_table,
}
