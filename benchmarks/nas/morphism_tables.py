"""Tables of the benchmark of morphism search, made from its JSON alone."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "nas_morphism"
GOAL = 0.4
ARMS = {
    "evolution": "evolution, inherited weights",
    "hill_climbing": "hill climbing, inherited weights",
    "random": "random mutations, inherited weights",
    "two_epochs": "evolution, inherited weights, 2 epochs per child",
    "constant": "evolution, constant learning rate",
    "scratch": "evolution, each child from scratch",
    "scratch_short": "evolution, each child from scratch, 4 epochs",
    "continued": "parent, one training with the MACs of evolution",
    "largest": "largest network of evolution, from scratch, same MACs",
    "found": "best network of evolution, from scratch, same MACs",
}
SEARCHED = ("evolution", "two_epochs", "hill_climbing", "random", "constant")
SHARES = (0.1, 0.2, 0.4, 0.6, 1.0)
Rows = list[dict[str, Any]]


def arms_table() -> str:
    """Returns the end of each arm."""
    rows = _rows()
    if not rows:
        return "Not measured yet."
    body = []
    for arm, title in ARMS.items():
        own = [row for row in rows if row["arm"] == arm]
        if not own:
            continue
        trials = [len(row.get("trials", ())) or 1 for row in own]
        body.append(
            [
                title,
                f"{statistics.mean(trials):.0f}",
                f"{statistics.mean(row['spent'] for row in own) / 1e9:.0f}",
                _spread([row["validation"] for row in own]),
                _spread([row["test"] for row in own]),
                f"{statistics.mean(row['macs'] for row in own) / 1e3:.0f}",
                str(len(own)),
            ]
        )
    head = ["arm", "trainings", "training MACs, G", "validation accuracy"]
    head += ["test accuracy", "MACs of the network, k", "seeds"]
    note = (
        "Mean over the seeds (lowest-highest). The network of a search is the "
        "best one on 2,000 validation images; test accuracy is that on 10,000 "
        "other images. Arms of one training were not selected."
    )
    return f"{markdown(head, body)}\n\n{note}"


def goal_table() -> str:
    """Returns the compute at which a search reaches evolution from scratch."""
    body = []
    for row in (one for one in _rows() if one["arm"] == "scratch"):
        for arm in SEARCHED:
            other = _find(arm, row["seed"])
            if other is not None:
                body.append(_goal_line(arm, row, other))
    if not body:
        return "Not measured yet."
    head = [
        "arm",
        "scratch at its end",
        "arm at its end",
        "reached at, G MACs",
        "share of all MACs of scratch",
        f"at most {GOAL}",
        "share of its MACs until it had it",
        "share of its time",
    ]
    note = (
        "Validation accuracy of the best network so far. Evolution from "
        "scratch has its best network before its end, so the share of all its "
        "MACs flatters the other search; the next share does not. The share of "
        "the time, of all trainings of scratch, includes compilation; the "
        "machine was shared, so it is rough."
    )
    return f"{markdown(head, body)}\n\n{note}"


def _goal_line(
    arm: str, row: dict[str, Any], other: dict[str, Any]
) -> list[str]:
    goal = row["validation"]
    spent = _reached(other, goal)
    first = _reached(row, goal)
    cells = ["not reached", "-", "**no**", "-", "-"]
    if spent is not None and first is not None:
        share = spent / row["spent"]
        time = _seconds(other, spent) / _seconds(row, row["spent"])
        cells = [
            f"{spent / 1e9:.0f}",
            f"{share:.2f}",
            "yes" if share <= GOAL else "**no**",
            f"{spent / first:.2f}",
            f"{time:.2f}",
        ]
    return [
        f"{arm.replace('_', ' ')}, seed {row['seed']}",
        f"{goal:.4f}",
        f"{other['validation']:.4f}",
        *cells,
    ]


def curve_table() -> str:
    """Returns the test accuracy of the best network so far along compute."""
    whole = {
        row["seed"]: row["spent"] for row in _rows() if row["arm"] == "scratch"
    }
    body = []
    for arm, title in ARMS.items():
        own = [
            row
            for row in _rows()
            if row["arm"] == arm and row.get("trials") and row["seed"] in whole
        ]
        if not own:
            continue
        cells = []
        for share in SHARES:
            values = [_at(row, share * whole[row["seed"]]) for row in own]
            known = [one for one in values if one is not None]
            done = len(known) == len(own)
            cells.append(f"{statistics.mean(known):.4f}" if done else "-")
        body.append([title, *cells])
    if not body:
        return "Not measured yet."
    head = ["test accuracy at a share of the MACs of evolution from scratch"]
    return markdown([*head, *(f"{share:g}" for share in SHARES)], body)


def environment_note() -> str:
    """Returns date, command and environment of the measurements."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    lines = []
    for run in load(NAME)["runs"]:
        facts = run["environment"]
        lines.append(
            f"- `{run['command']}`, {run['date'][:10]}, backend "
            f"{facts['backend']}: {facts['cores']} cores of "
            f"{facts['processor']}, Python {facts['python']}, keras "
            f"{facts['keras']}, tensorflow {facts['tensorflow']}."
        )
    return "\n".join(dict.fromkeys(lines))


def _reached(row: dict[str, Any], goal: float) -> int | None:
    """Training MACs when the best network so far had an accuracy."""
    for trial in row["trials"]:
        if trial["test"] is not None and trial["validation"] >= goal:
            return int(trial["spent"])
    return None


def _at(row: dict[str, Any], limit: float) -> float | None:
    """Test accuracy of the best network within some training MACs."""
    if row["spent"] < limit:
        return None
    found = [
        trial["test"]
        for trial in row["trials"]
        if trial["test"] is not None and trial["spent"] <= limit
    ]
    return found[-1] if found else None


def _seconds(row: dict[str, Any], spent: float) -> float:
    return sum(t["seconds"] for t in row["trials"] if t["spent"] <= spent)


def _find(arm: str, seed: int) -> dict[str, Any] | None:
    for row in _rows():
        if row["arm"] == arm and row["seed"] == seed:
            return row
    return None


def _spread(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{statistics.mean(values):.4f} ({low:.4f}-{high:.4f})"


def _rows() -> Rows:
    if not (RESULTS / f"{NAME}.json").exists():
        return []
    rows: Rows = load(NAME)["rows"]
    return rows


TABLES: dict[str, Callable[[], str]] = {
    "morphism arms": arms_table,
    "morphism goals": goal_table,
    "morphism curves": curve_table,
    "morphism environment": environment_note,
}
