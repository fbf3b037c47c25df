"""Tables of stochastic depth and Mixture-of-Depths, from their JSON."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.adaptive_depth import stochastic_depth, tokens, tokens_time
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Rows = list[dict[str, Any]]
NOT_YET = "Not measured yet."
BACKENDS = ("tensorflow", "jax", "torch")


def depth_table() -> str:
    """Returns the accuracy of the whole network and at half depth."""
    rows = _rows(stochastic_depth.NAME)
    if not rows:
        return NOT_YET
    body = []
    for arm, (title, _) in stochastic_depth.ARMS.items():
        own = [row for row in rows if row["arm"] == arm]
        if own:
            halves = [row["half"] for row in own if "half" in row]
            body.append(
                [
                    title,
                    _spread([row["accuracy"][-1] for row in own]),
                    _gaps(rows, arm),
                    _spread(halves) if halves else "-",
                ]
            )
    head = [
        "arm",
        "test accuracy",
        "minus ordinary, points by seed",
        "every other block kept",
    ]
    note = (
        f"Mean ± standard deviation of the last of {stochastic_depth.EPOCHS} "
        'epochs. "Every other block kept": `depth.extract_subnetwork`, without '
        "further training."
    )
    return f"{markdown(head, body)}\n\n{note}"


def time_table() -> str:
    """Returns step times relative to the ordinary network."""
    body = []
    for backend in BACKENDS:
        rows = _rows(f"stochastic_depth_time_{backend}")
        for arm in dict.fromkeys(row["arm"] for row in rows):
            if arm != "plain":
                cells = [_ratio(rows, arm, clock) for clock in ("wall", "cpu")]
                body.append([backend, arm, *cells])
    if not body:
        return NOT_YET
    head = ["backend", "arm", "wall time / ordinary", "CPU time / ordinary"]
    note = (
        "Medians of paired ratios, quartiles in brackets; every block has the "
        'rate in the table. "plain again" shows the noise.'
    )
    return f"{markdown(head, body)}\n\n{note}"


def token_table() -> str:
    """Returns the loss at equal MACs, and the MACs per step."""
    rows = _rows(tokens.NAME)
    if not rows:
        return NOT_YET
    whole = next((r["macs"] for r in rows if r["arm"] == "plain"), None)
    body = []
    for arm in tokens.CAPACITIES:
        own = [row for row in rows if row["arm"] == arm]
        if own:
            losses = [row["losses"][-1] for row in own]
            body.append(
                [
                    "ordinary blocks" if arm == "plain" else f"capacity {arm}",
                    f"{own[0]['macs'] / whole:.2f}" if whole else "-",
                    f"{own[0]['steps']:,}",
                    f"{statistics.median(losses):.3f}",
                    ", ".join(f"{loss:.3f}" for loss in losses),
                    *(_pace(arm, what) for what in ("training", "inference")),
                ]
            )
    head = [
        "arm",
        "MACs per step",
        "steps",
        "loss, median",
        "by seed",
        "training step / ordinary",
        "inference / ordinary",
    ]
    note = (
        "CPU times: medians of paired ratios on JAX, quartiles in brackets; a "
        f"second ordinary network reads {_pace('plain again', 'training')} and "
        f"{_pace('plain again', 'inference')}."
    )
    return f"{markdown(head, body)}\n\n{note}"


def _pace(arm: str, what: str) -> str:
    rows = _rows(tokens_time.NAME)
    if not rows or arm == "plain":
        return "-"
    return _ratio(rows, f"{arm}, {what}", "cpu", f"plain, {what}")


def _gaps(rows: Rows, arm: str) -> str:
    base = {r["seed"]: r["accuracy"][-1] for r in rows if r["arm"] == "plain"}
    gaps = [
        100 * (row["accuracy"][-1] - base[row["seed"]])
        for row in rows
        if row["arm"] == arm and row["seed"] in base
    ]
    if arm == "plain" or not gaps:
        return "-"
    return ", ".join(f"{gap:+.2f}" for gap in gaps)


def _ratio(rows: Rows, arm: str, clock: str, base: str = "plain") -> str:
    times = {(row["arm"], row["round"]): row[clock] for row in rows}
    rounds = sorted({row["round"] for row in rows if row["arm"] == arm})
    ratios = [times[arm, r] / times[base, r] for r in rounds]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _rows(name: str) -> Rows:
    return load(name)["rows"] if (RESULTS / f"{name}.json").exists() else []


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


TABLES: dict[str, Callable[[], str]] = {
    "stochastic depth accuracy": depth_table,
    "stochastic depth time": time_table,
    "mixture of depths": token_table,
}
