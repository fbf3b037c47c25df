"""Markdown tables of sparse training, made from the JSON alone."""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.pruning.tables import markdown, paired
from benchmarks.records import RESULTS, load
from benchmarks.sparse_training import accuracy, arms, cost, nets, resume

BACKENDS = ("jax", "tensorflow", "torch")
TITLES = {
    "mlp": "MLP 784-300-100-10",
    "cnn": "CNN 16-32-64",
    "adam": "Adam",
    "sgd": "SGD",
    "raw": "raw",
    "standard": "standardised",
}
# The claim: the first arm is better than the second.
ORDERINGS = (
    ("erk", "rigl"),
    ("erk", "set"),
    ("rigl", "static"),
    ("rigl", "random"),
    ("set", "static"),
    ("set", "random"),
    ("rigl", "set"),
)
CONTROLS = ("snip", "grasp", "synflow")

Rows = list[dict[str, Any]]


def accuracy_table() -> str:
    """Returns a table per setting: arms down, sparsities across."""
    rows = load(accuracy.NAME)["rows"]
    parts = []
    for setting in accuracy.ORDER:
        own = _select(rows, **vars(setting))
        body = []
        for name, arm in arms.ARMS.items():
            levels = (0.0,) if name == "dense" else arms.SPARSITIES
            cells = [
                _mean(r["accuracy"] for r in _select(own, arm=name, sparsity=s))
                for s in levels
            ]
            if set(cells) != {"-"}:
                repeated = cells * (4 if name == "dense" else 1)
                body.append([arm.title, *repeated])
        head = [_title(setting), *(f"{s:.0%}" for s in arms.SPARSITIES)]
        parts.append(markdown(head, body))
    return "\n\n".join(parts)


def ordering_table() -> str:
    """Returns which parts of the published ordering show, per setting."""
    rows = load(accuracy.NAME)["rows"]
    body = []
    for (better, worse), levels in itertools.product(
        ORDERINGS, (arms.SPARSITIES[:-1], arms.SPARSITIES[-1:])
    ):
        cells = [
            _verdict(
                _differences(
                    _select(rows, **vars(setting)), better, worse, levels
                )
            )
            for setting in accuracy.ORDER
        ]
        shown = " to ".join(f"{s:.0%}" for s in sorted({levels[0], levels[-1]}))
        names = f"{_short(better)} > {_short(worse)}"
        body.append([names, shown, *cells])
    head = ["published", "sparsity", *map(_brief, accuracy.ORDER)]
    return markdown(head, body)


def best_table() -> str:
    """Returns the order of the arms in each setting, at 90 and 98 %."""
    rows = load(accuracy.NAME)["rows"]
    body = []
    for setting, level in itertools.product(accuracy.ORDER, (0.9, 0.98)):
        own = _select(rows, **vars(setting), sparsity=level)
        means = {
            name: statistics.mean(r["accuracy"] for r in found)
            for name in arms.ARMS
            if (found := _select(own, arm=name))
        }
        order = sorted(means, key=lambda name: -means[name])
        shown = ", ".join(f"{_short(n)} {100 * means[n]:.1f}" for n in order)
        body.append([_brief(setting), f"{level:.0%}", shown])
    return markdown(["setting", "sparsity", "best first"], body)


def control_table() -> str:
    """Returns what masks are worth beyond the density of each layer."""
    rows = load(accuracy.NAME)["rows"]
    body = []
    for setting, level in itertools.product(accuracy.ORDER, (0.8, 0.98)):
        own = _select(rows, **vars(setting))
        cells = [
            _verdict(_differences(own, name, f"{name}_shuffled", (level,)))
            for name in CONTROLS
        ]
        body.append([_brief(setting), f"{level:.0%}", *cells])
    head = ["mask less shuffled mask", "sparsity"]
    return markdown([*head, *map(_short, CONTROLS)], body)


def step_table() -> str:
    """Returns ratios of the time of steps to plain `fit`."""
    body = []
    for backend, kind in itertools.product(BACKENDS, nets.WIDTHS):
        rows = _select(_load(f"{cost.NAME}_{backend}"), model=kind)
        for arm in dict.fromkeys(row["arm"] for row in rows):
            if arm != "plain":
                middle, low, high = paired(rows, arm, "cpu")
                fast = _quartile(rows, arm) / _quartile(rows, "plain")
                body.append(
                    [
                        backend,
                        TITLES[kind],
                        arm,
                        f"{middle:.3f} ({low:.2f}-{high:.2f})",
                        f"{fast:.3f}",
                    ]
                )
    head = ["backend", "network", "arm", "CPU time", "of the fastest quarter"]
    return markdown(head, body)


def update_table() -> str:
    """Returns time and memory of single updates of a large network."""
    body = []
    for backend in BACKENDS:
        for row in _select(_load(f"{cost.NAME}_{backend}"), part="update"):
            size = row["model_bytes"]
            body.append(
                [
                    backend,
                    row["arm"],
                    f"{row['cpu']:.2f} s",
                    f"{row['resident'] / size:.2f}",
                    f"{row['numpy'] / size:.2f}",
                ]
            )
    head = ["backend", "method", "CPU time", "extra memory", "of it numpy"]
    return markdown(head, body)


def resume_table() -> str:
    """Returns what differs after kills, and the bytes of masks in files."""
    body = []
    for backend in BACKENDS:
        for row in _load(f"{resume.NAME}_{backend}"):
            equal = all(row["equal"].values())
            body.append(
                [
                    backend,
                    row["method"],
                    str(row["kills"]),
                    "bit for bit" if equal else str(row["equal"]),
                    f"{row['mask_bytes']:,} B for {row['mask_bits']:,} weights",
                ]
            )
    head = ["backend", "method", "kills", "equal", "masks in the file"]
    return markdown(head, body)


def environment_note() -> str:
    """Returns when, with what and on what the numbers were measured."""
    names = [accuracy.NAME]
    for one in (cost.NAME, resume.NAME):
        names += [f"{one}_{backend}" for backend in BACKENDS]
    lines = []
    for name in names:
        if (RESULTS / f"{name}.json").exists():
            run = load(name)["runs"][-1]
            facts = run["environment"]
            lines.append(
                f"- `{run['command']}`, {run['date'][:10]}, backend "
                f"{facts['backend']}: {facts['cores']} cores of "
                f"{facts['processor']}, Python {facts['python']}, keras "
                f"{facts['keras']}, tensorflow {facts['tensorflow']}, jax "
                f"{facts['jax']}, torch {facts['torch']}."
            )
    return "\n".join(lines)


def _load(name: str) -> Rows:
    exists = (RESULTS / f"{name}.json").exists()
    return load(name)["rows"] if exists else []


def _select(rows: Rows, **key: Any) -> Rows:
    return [row for row in rows if all(row.get(n) == v for n, v in key.items())]


def _title(setting: nets.Setting) -> str:
    optimizer, inputs = TITLES[setting.optimizer], TITLES[setting.inputs]
    return f"{TITLES[setting.model]}, {optimizer}, {inputs}"


def _brief(setting: nets.Setting) -> str:
    words = (setting.optimizer, setting.inputs)
    return " ".join([setting.model.upper(), *(TITLES[w] for w in words)])


def _short(arm: str) -> str:
    title = {"erk": "magnitude ERK", "uniform": "magnitude uniform"}.get(arm)
    found = arms.ARMS[arm].title if title is None else title
    return {
        "global": "magnitude global",
        "static": "static",
        "random": "random",
        "small": "small dense",
    }.get(arm, found)


def _mean(values: Iterable[float]) -> str:
    shown = [100 * value for value in values]
    if len(shown) < 2:
        return f"{shown[0]:.1f} (1 seed)" if shown else "-"
    fewer = "" if len(shown) == 3 else f"; {len(shown)} seeds"
    return f"{statistics.mean(shown):.1f} ± {_error(shown):.1f}{fewer}"


def _error(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def _differences(
    rows: Rows, better: str, worse: str, levels: Iterable[float]
) -> list[float]:
    """Returns the difference per seed in points, averaged over levels."""
    found = {
        (row["arm"], row["sparsity"], row["seed"]): 100 * row["accuracy"]
        for row in rows
    }
    seeds = sorted({row["seed"] for row in rows})
    result = []
    for seed in seeds:
        pairs = [
            ((better, level, seed), (worse, level, seed)) for level in levels
        ]
        if all(a in found and b in found for a, b in pairs):
            result.append(
                statistics.mean(found[a] - found[b] for a, b in pairs)
            )
    return result


def _verdict(differences: list[float]) -> str:
    if len(differences) < 2:
        return f"{differences[0]:+.1f} (1 seed)" if differences else "-"
    mean, error = statistics.mean(differences), _error(differences)
    word = "open"
    if abs(mean) > 2 * error:
        word = "shown" if mean > 0 else "**refuted**"
    return f"{mean:+.1f} ± {error:.1f} {word}"


def _quartile(rows: Rows, arm: str) -> float:
    times = [row["cpu"] for row in rows if row["arm"] == arm]
    return statistics.quantiles(times, n=4)[0]


TABLES: dict[str, Callable[[], str]] = {
    "sparse training accuracy": accuracy_table,
    "sparse training orderings": ordering_table,
    "sparse training ranks": best_table,
    "sparse training controls": control_table,
    "sparse training steps": step_table,
    "sparse training updates": update_table,
    "sparse training resume": resume_table,
    "sparse training environment": environment_note,
}
