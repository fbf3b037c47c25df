"""Markdown tables of the growing benchmarks, made from their JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Rows = list[dict[str, Any]]
GOAL = 0.6  # Of the large network's compute.
NEW_UNITS = "growing_new_units"
COMPUTE = "growing_compute"
SLOTS = "growing_slots"
FILLS = ("mean", "mean / 10", "mean / 100", "zero")
UNITS = ("paired", "zero", "net2net", "gradmax", "random", "none")
ARMS = {
    "scratch": "large, from scratch",
    "grown": "grown",
    "scratch_equal": "large, from scratch, compute of grown",
    "grown_random": 'grown, `new_units="random"`',
    "small": "small, not grown",
}


def new_units_table() -> str:
    """Returns the results of each initialization of new units."""
    rows = _rows(NEW_UNITS)
    if not rows:
        return "Not measured yet."
    parts = []
    for case in dict.fromkeys(row["case"] for row in rows):
        body = []
        for arm in UNITS:
            own = [r for r in rows if r["case"] == case and r["arm"] == arm]
            if own:
                body.append(
                    [
                        f"{_title(arm, own)}, {len(own)} seeds",
                        _spread([row["loss"] for row in own]),
                        _spread([row["test_loss"] for row in own]),
                        _spread([row["accuracy"] for row in own]),
                        f"{max(row['moved'] for row in own):.0e}",
                    ]
                )
        head = [case, "train loss", "test loss", "test accuracy", "moved"]
        parts.append(markdown(head, body))
    note = (
        "Mean over the seeds (lowest-highest) of the last epoch, averaged "
        'over the epoch in training. "Moved" is the largest change of an '
        "output at the growth, in any seed."
    )
    return "\n\n".join([*parts, note])


def compute_table() -> str:
    """Returns the result and the compute of each arm."""
    rows = _rows(COMPUTE)
    if not rows:
        return "Not measured yet."
    titles = load(COMPUTE)["settings"]
    parts = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        body = [_compute_line(own, task, arm) for arm in ARMS]
        head = [
            titles[task]["title"],
            "epochs",
            "compute",
            _metric(task),
            "seeds",
        ]
        parts.append(markdown(head, [line for line in body if line]))
    note = (
        "Mean over the seeds (lowest-highest). Compute is relative to the "
        "large network from scratch with the same seed. Times are in the JSON "
        "and not here: the machine was shared while these ran."
    )
    return "\n\n".join([*parts, note])


def goal_table() -> str:
    """Returns the compute at which grown networks reach the large one."""
    rows = _rows(COMPUTE)
    if not rows:
        return "Not measured yet."
    body = []
    for task in dict.fromkeys(row["task"] for row in rows):
        for seed in sorted({row["seed"] for row in rows}):
            found = {
                row["arm"]: row
                for row in rows
                if row["task"] == task and row["seed"] == seed
            }
            if {"scratch", "grown"} <= set(found):
                body.append(_goal_line(task, seed, found))
    head = [
        "task, seed",
        "large at its end",
        "grown at its end",
        "grown reaches it at",
        f"at most {GOAL:.2f}",
        "large reaches the grown one's end at",
    ]
    return markdown(head, body)


def slots_table() -> str:
    """Returns the losses for each start value of second-order slots."""
    rows = _rows(SLOTS)
    if not rows:
        return "Not measured yet."
    names = ("edit", "model", "optimizer", "start")
    body = []
    for key in sorted({tuple(row[name] for name in names) for row in rows}):
        found: dict[str, Rows] = {fill: [] for fill in FILLS}
        for row in rows:
            if tuple(row[name] for name in names) == key:
                found[row["fill"]].append(row)
        late = [_middle(found[fill], "late_loss", "+.3f") for fill in FILLS]
        ends = [
            f"{_middle(found['mean'], name, form)} / "
            f"{_middle(found['zero'], name, form)}"
            for name, form in (("early_loss", "+.3f"), ("step", ".1f"))
        ]
        edit, model, optimizer, start = key
        title = f"{edit}, {model}, {optimizer}, after {start:,} steps"
        body.append([title, *late, *ends])
    head = ["loss against the ungrown network, steps 151-200", *FILLS]
    head += ["the same, steps 2-20: mean / zero", "first step: mean / zero"]
    note = (
        'Medians of 3 seeds; "-" was not run. The first step is the change of '
        "the outputs against that of the ungrown network."
    )
    return f"{markdown(head, body)}\n\n{note}"


def environment_note() -> str:
    """Returns date, command and environment of the measurements."""
    lines = []
    for name in (NEW_UNITS, COMPUTE, SLOTS):
        if (RESULTS / f"{name}.json").exists():
            run = load(name)["runs"][-1]
            facts = run["environment"]
            lines.append(
                f"- `{run['command']}`, {run['date'][:10]}, backend "
                f"{facts['backend']}: {facts['cores']} cores of "
                f"{facts['processor']}, Python {facts['python']}, keras "
                f"{facts['keras']}, tensorflow {facts['tensorflow']}."
            )
    return "\n".join(lines) or "Not measured yet."


def _compute_line(rows: Rows, task: str, arm: str) -> list[str] | None:
    own = [row for row in rows if row["arm"] == arm]
    base = {row["seed"]: row for row in rows if row["arm"] == "scratch"}
    pairs = [(row, base[row["seed"]]) for row in own if row["seed"] in base]
    if not pairs:
        return None
    compute = [row["macs"][-1] / big["macs"][-1] for row, big in pairs]
    return [
        ARMS[arm],
        f"{statistics.mean(row['epochs'] for row in own):.3g}",
        f"{statistics.mean(compute):.2f}",
        _spread([row["values"][-1] for row in own]),
        str(len(own)),
    ]


def _goal_line(task: str, seed: int, found: dict[str, Any]) -> list[str]:
    big, grown = found["scratch"], found["grown"]
    whole = big["macs"][-1]
    met = _reached(grown, big["values"][-1], task)
    other = _reached(big, grown["values"][-1], task)
    verdict = "**no**"
    if met is not None and met / whole <= GOAL:
        verdict = "yes"
    return [
        f"{task}, {seed}",
        f"{big['values'][-1]:.4f}",
        f"{grown['values'][-1]:.4f}",
        "not reached" if met is None else f"{met / whole:.2f}",
        verdict,
        "not reached" if other is None else f"{other / whole:.2f}",
    ]


def _reached(row: dict[str, Any], goal: float, task: str) -> int | None:
    """MACs at the first end of an epoch at which a value was reached."""
    sign = -1 if _metric(task).endswith("loss") else 1
    for value, macs in zip(row["values"], row["macs"], strict=True):
        if sign * (value - goal) >= 0:
            return macs
    return None


def _metric(task: str) -> str:
    return "test accuracy" if task == "cnn" else "test loss"


def _title(arm: str, rows: Rows) -> str:
    if arm == "none":
        return "not grown"
    notes = [
        n for row in rows for n in row["notes"] if n.startswith("new_units=")
    ]
    places = len(notes) / len(rows)
    fallback = f' ("zero" in {places:.0f} of 4 layers)' if notes else ""
    return f'`"{arm}"`{fallback}'


def _spread(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{statistics.mean(values):.4f} ({low:.4f}-{high:.4f})"


def _middle(rows: Rows, name: str, form: str) -> str:
    values = [row[name] for row in rows]
    return format(statistics.median(values), form) if values else "-"


def _rows(name: str) -> Rows:
    if not (RESULTS / f"{name}.json").exists():
        return []
    rows: Rows = load(name)["rows"]
    return rows


TABLES: dict[str, Callable[[], str]] = {
    "growing new units": new_units_table,
    "growing compute": compute_table,
    "growing goals": goal_table,
    "growing slots": slots_table,
    "growing environment": environment_note,
}
