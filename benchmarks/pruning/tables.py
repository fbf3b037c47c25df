"""Markdown tables of the pruning benchmarks, made from their JSON alone."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.pruning import accuracy, arms, models
from benchmarks.records import RESULTS, load

TITLES = {"mlp": "MLP 784-300-100-10", "cnn": "CNN 16-32-64"}
BACKENDS = ("tensorflow", "jax", "torch")
FORMS = {
    "float": "float",
    "float_gzip": "float, gzip",
    "sparse": "sparse flag",
    "sparse_gzip": "sparse flag, gzip",
    "dynamic_gzip": "dynamic int8, gzip",
}
SIZE_LIMIT = 1.02

Rows = list[dict[str, Any]]


def accuracy_table() -> str:
    """Returns test accuracies: arms down, sparsities across."""
    rows = load(accuracy.NAME)["rows"]
    parts = []
    for kind in _present(rows, "model", models.WIDTHS):
        own = [row for row in rows if row["model"] == kind]
        levels = sorted({row["sparsity"] for row in own} - {0.0})
        body = []
        for name in _present(own, "arm", arms.ARMS):
            cells = [_spread(_values(own, name, s), own) for s in levels]
            dense = _spread(_values(own, name, 0.0), own)
            body.append([arms.ARMS[name].title, dense, *cells])
        head = [TITLES[kind], "dense", *(f"{s:.0%}" for s in levels)]
        parts.append(markdown(head, body))
    return "\n\n".join([*parts, _seeds(rows)])


def goal_table() -> str:
    """Returns what was aimed at, what came out and by how much it differs."""
    rows = load(accuracy.NAME)["rows"]
    mlp = [row for row in rows if row["model"] == "mlp"]
    body = [_accuracy_goal(mlp, *goal) for goal in _ACCURACY_GOALS]
    for kind in _present(rows, "model", models.WIDTHS):
        own = [row for row in rows if row["model"] == kind]
        body += [
            _size_goal(own, form, sparsity, kind.upper())
            for form in ("sparse", "dynamic_gzip")
            for sparsity in (0.9, 0.95, 0.98)
            if _values(own, "tfmot", sparsity)
            and _values(own, "ours", sparsity)
        ]
    head = ["goal", "`Pruning(s)`", "compared with", "difference", "met"]
    return markdown(head, body)


_ACCURACY_GOALS = (
    (0.9, "dense", 0.0, "MLP, 90 % at least as good as dense"),
    (0.95, "tfmot", 0.9, "MLP, 95 % at least as good as tfmot's 90 %"),
    (0.98, "tfmot", 0.95, "MLP, 98 % at least as good as tfmot's 95 %"),
)


def _accuracy_goal(
    rows: Rows, sparsity: float, arm: str, other: float, title: str
) -> list[str]:
    ours = _median(_values(rows, "ours", sparsity))
    theirs = _median(_values(rows, arm, other))
    met = "yes" if ours >= theirs else "**no**"
    shown = f"{(ours - theirs) * 100:+.2f} points"
    return [title, f"{ours:.4f}", f"{theirs:.4f}", shown, met]


def _size_goal(rows: Rows, form: str, sparsity: float, kind: str) -> list[str]:
    ours = _median(_values(rows, "ours", sparsity, form))
    theirs = _median(_values(rows, "tfmot", sparsity, form))
    title = f"{kind}, {FORMS[form]} at {sparsity:.0%}: at most 2 % above tfmot"
    met = "yes" if ours <= SIZE_LIMIT * theirs else "**no**"
    shown = f"{(ours / theirs - 1) * 100:+.2f} %"
    return [title, f"{ours:,.0f} B", f"{theirs:,.0f} B", shown, met]


def size_table() -> str:
    """Returns bytes of the LiteRT files, medians over the seeds."""
    rows = load(accuracy.NAME)["rows"]
    parts = []
    for kind in _present(rows, "model", models.WIDTHS):
        own = [r for r in rows if r["model"] == kind and r["bytes"]]
        keys = {(row["arm"], row["sparsity"]) for row in own}
        body = []
        for name in arms.ARMS:
            for sparsity in sorted(s for arm, s in keys if arm == name):
                sizes = [
                    _count(_values(own, name, sparsity, form)) for form in FORMS
                ]
                title = f"{arms.ARMS[name].title}, {sparsity:.0%}"
                body.append([title if sparsity else "dense", *sizes])
        head = [f"{TITLES[kind]}, bytes", *FORMS.values()]
        parts.append(markdown(head, body))
    return "\n\n".join(parts)


def overhead_table() -> str:
    """Returns time ratios to plain `fit`, and what an update costs."""
    body, notes = [], []
    for backend in BACKENDS:
        name = f"pruning_overhead_{backend}"
        if not (RESULTS / f"{name}.json").exists():
            continue
        rows = load(name)["rows"]
        for part in ("steady", "first epoch"):
            for kind in _present(rows, "model", models.WIDTHS):
                own = [
                    row
                    for row in rows
                    if row["part"] == part and row["model"] == kind
                ]
                body += _ratio_rows(own, [backend, TITLES[kind], part])
        notes.append(_update_note(backend, rows))
    head = ["backend", "network", "part", "arm", "wall time", "CPU time"]
    return "\n\n".join([markdown(head, body), *notes])


def _ratio_rows(rows: Rows, start: list[str]) -> list[list[str]]:
    found = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        base = _base(arm)
        if arm == base:
            continue
        cells = []
        for clock in ("wall", "cpu"):
            middle, low, high = paired(rows, arm, clock)
            cells.append(f"{middle:.3f} ({low:.2f}-{high:.2f})")
        found.append([*start, f"{arm} / {base}", *cells])
    return found


def _update_note(backend: str, rows: Rows) -> str:
    updates = [row for row in rows if row["part"] == "update"]
    weights = load(f"pruning_overhead_{backend}")["settings"]["update_weights"]
    middle = statistics.median(row["wall"] for row in updates)
    return (
        f"One mask update of {weights:,} weights on {backend}: "
        f"{middle:.2f} s (median of {len(updates)})."
    )


def paired(rows: Rows, arm: str, clock: str) -> tuple[float, float, float]:
    """Returns median and quartiles of an arm's ratios to its plain arm."""
    times = {(row["arm"], row["round"]): row[clock] for row in rows}
    rounds = sorted({row["round"] for row in rows if row["arm"] == arm})
    ratios = [times[arm, r] / times[_base(arm), r] for r in rounds]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def environment_note() -> str:
    """Returns when, with what and on what the numbers were measured."""
    lines = []
    names = [accuracy.NAME, *(f"pruning_overhead_{b}" for b in BACKENDS)]
    for name in names:
        if (RESULTS / f"{name}.json").exists():
            run = load(name)["runs"][-1]
            facts = run["environment"]
            lines.append(
                f"- `{run['command']}`, {run['date'][:10]}, backend "
                f"{facts['backend']}: {facts['cores']} cores of "
                f"{facts['processor']}, Python {facts['python']}, keras "
                f"{facts['keras']}, tensorflow {facts['tensorflow']}, jax "
                f"{facts['jax']}, torch {facts['torch']}, tfmot "
                f"{facts['tensorflow-model-optimization']}."
            )
    return "\n".join(lines)


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Returns a markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _base(arm: str) -> str:
    return "tf_keras plain" if arm in ("tf_keras plain", "tfmot") else "plain"


def _present(rows: Rows, field: str, names: Any) -> list[str]:
    found = {row.get(field) for row in rows}
    return [name for name in names if name in found]


def _values(
    rows: Rows, arm: str, sparsity: float, form: str | None = None
) -> list[float]:
    chosen = [
        row for row in rows if row["arm"] == arm and row["sparsity"] == sparsity
    ]
    if form is None:
        return [row["accuracy"] for row in chosen]
    return [row["bytes"][form] for row in chosen if form in row["bytes"]]


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def _count(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f}" if values else "-"


def _spread(values: list[float], rows: Rows) -> str:
    if not values:
        return "-"
    low, high = min(values), max(values)
    seeds = len({row["seed"] for row in rows})
    fewer = f"; {len(values)} of {seeds}" if len(values) < seeds else ""
    return f"{statistics.median(values):.4f} ({low:.4f}-{high:.4f}{fewer})"


def _seeds(rows: Rows) -> str:
    count = len({row["seed"] for row in rows})
    return (
        f"Median of {count} seeds (lowest-highest), test accuracy. A cell that "
        f'says "1 of {count}" was measured on fewer.'
    )


TABLES: dict[str, Callable[[], str]] = {
    "pruning accuracy": accuracy_table,
    "pruning goals": goal_table,
    "pruning sizes": size_table,
    "pruning overhead": overhead_table,
    "pruning environment": environment_note,
}
