"""Markdown tables of the curriculum benchmarks, made from JSON files."""

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.curriculum import (
    arms,
    copying,
    noise,
    overhead_tables,
    rho,
    warmup_tables,
)
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from keras_netopt.paired_difference import paired_difference

Rows = list[dict[str, Any]]
NOT_YET = "Not measured yet."
TITLES = {
    "redrawn": "labels redrawn, p = 0.4 (36 % wrong)",
    "flipped": "40 % of the labels flipped",
    "clean": "clean labels",
}
GAIN, LOSS = 0.05, 0.005


def whole_table() -> str:
    """Returns the accuracy of some arms with all images."""
    return noise_table(noise.WHOLE)


def noise_table(name: str = noise.NAME) -> str:
    """Returns the accuracy of each arm, with its paired difference."""
    rows = _rows(name)
    if not rows:
        return NOT_YET
    parts = []
    for kind in _present(rows, "noise", TITLES):
        own = [row for row in rows if row["noise"] == kind]
        body = []
        for name in _present(own, "arm", arms.ARMS):
            mine = _by_seed(own, name)
            body.append(
                [
                    arms.ARMS[name].text,
                    _spread([row["accuracy"][-1] for row in mine.values()]),
                    _gap(own, name),
                    _percent(row["wrong"][0] for row in mine.values()),
                    _percent(row["wrong"][-1] for row in mine.values()),
                ]
            )
        head = [
            TITLES[kind],
            "test accuracy",
            "minus `shuffle` [95 %]",
            "wrong, first epoch",
            "wrong, last epoch",
        ]
        if kind == "clean":
            head, body = head[:3], [line[:3] for line in body]
        parts.append(markdown(head, body))
    steps = rows[0]["steps"]
    note = (
        f"Mean ± standard deviation of the last epoch, {_seeds(rows)}; every "
        f"arm trains for {steps:,} steps. Differences are paired by seed. "
        '"Wrong" is the share of wrong labels in the batches of the epoch.'
    )
    backward = [row["backward"] for row in rows if "backward" in row]
    if backward:
        note += (
            f" With SelectiveBackprop, {_percent(backward)} of the samples "
            "had a backward pass."
        )
    return "\n\n".join([*parts, note])


def goal_table() -> str:
    """Returns the goals and the measured values."""
    rows = _rows(noise.NAME)
    body = [
        *_gain_goals(rows, "10,000"),
        *_gain_goals(_rows(noise.WHOLE), "all"),
    ]
    own = [row for row in rows if row["noise"] == "clean"]
    for name in arms.DEFAULTS:
        gap = _difference(own, name)
        if gap:
            fine = gap.mean >= -LOSS or (gap.high or -1.0) >= 0.0
            goal = f"clean: {arms.ARMS[name].text} costs at most 0.5 points"
            body.append([goal, str(gap), _verdict(fine)])
    body += [*_copying_goals(), *_rho_goals(), *warmup_tables.goals()]
    body += overhead_tables.goals()
    covered = [row["coverage"] for row in rows if row["arm"] != "shuffle"]
    if covered:
        body.append(
            [
                "each class keeps at least half of its share",
                f"smallest {min(covered):.2f}",
                _verdict(min(covered) >= 0.5),
            ]
        )
    return markdown(["goal", "measured", "met"], body) if body else NOT_YET


def _gain_goals(rows: Rows, images: str) -> list[list[str]]:
    body = []
    for kind in _present(rows, "noise", ("redrawn", "flipped")):
        own = [row for row in rows if row["noise"] == kind]
        gains = {
            name: _difference(own, name)
            for name in _present(own, "arm", arms.ARMS)
            if name != "shuffle"
        }
        gains = {name: gap for name, gap in gains.items() if gap}
        if gains:
            best = max(gains, key=lambda name: gains[name].mean)
            gap = gains[best]
            body.append(
                [
                    f"{images} images, {TITLES[kind]}: best arm +5 points",
                    f"{arms.ARMS[best].text}: {gap}",
                    _verdict(gap.mean >= GAIN),
                ]
            )
    return body


def copying_table() -> str:
    """Returns the steps to the target accuracy."""
    rows = _rows(copying.NAME)
    if not rows:
        return NOT_YET
    body = []
    for name in _present(rows, "arm", copying.ARMS):
        own = _by_seed(rows, name).values()
        body.append(
            [
                copying.ARMS[name],
                ", ".join(_steps(row["steps"]) for row in own),
                _spread([row["accuracy"][-1] for row in own]),
            ]
        )
    head = ["arm", "steps to 95 %, by seed", "token accuracy at the end"]
    limit = copying.EPOCHS * copying.STEPS_PER_EPOCH
    note = f"Measured every {copying.STEPS_PER_EPOCH} steps, {limit:,} at most."
    return f"{markdown(head, body)}\n\n{note}"


def rho_table() -> str:
    """Returns accuracy at equal steps and the wrong labels selected."""
    rows = _rows(rho.NAME)
    if not rows:
        return NOT_YET
    body = []
    for name in _present(rows, "arm", rho.ARMS):
        own = _by_seed(rows, name)
        body.append(
            [
                rho.ARMS[name],
                _spread([max(row["accuracy"]) for row in own.values()]),
                _spread([row["accuracy"][-1] for row in own.values()]),
                ", ".join(
                    _steps(_reach(rows, name, seed)) for seed in sorted(own)
                ),
                _percent(row["wrong"][-1] for row in own.values()),
                _percent(
                    row["seconds"] / _base(rows, seed)["seconds"]
                    for seed, row in own.items()
                ),
            ]
        )
    head = [
        "arm",
        "best epoch",
        "last epoch",
        "steps to the best accuracy of uniform",
        "wrong labels selected",
        "time",
    ]
    note = (
        f"{_seeds(rows)}, {rows[0]['steps']:,} steps of {rho.KEPT} samples; "
        f"{_percent(row['base'] for row in rows)} of the labels are wrong. "
        "Best epochs are selected on test data and therefore optimistic. "
        "Time is relative to uniform batches; each candidate needs a forward "
        "pass."
    )
    return f"{markdown(head, body)}\n\n{note}"


def environment_note() -> str:
    """Returns command, date, machine and versions of the measurements."""
    lines = []
    names = [noise.NAME, copying.NAME, rho.NAME]
    names += [
        f"curriculum_overhead_{backend}" for backend in overhead_tables.BACKENDS
    ]
    for name in names:
        if not (RESULTS / f"{name}.json").exists():
            continue
        run = load(name)["runs"][-1]
        facts = run["environment"]
        lines.append(
            f"- `{run['command']}`, {run['date'][:10]}, backend "
            f"{facts['backend']}: {facts['cores']} cores of "
            f"{facts['processor']}, Python {facts['python']}, keras "
            f"{facts['keras']}, tensorflow {facts['tensorflow']}, jax "
            f"{facts['jax']}, torch {facts['torch']}."
        )
    return "\n".join(lines) or NOT_YET


def _copying_goals() -> list[list[str]]:
    rows = _rows(copying.NAME)
    mixed = _mean_steps(rows, "shuffle")
    body = []
    for name in _present(rows, "arm", ("easy_first", *copying.PACINGS)):
        short = _mean_steps(rows, name)
        body.append(
            [
                f"reversal, {copying.ARMS[name]}: fewer steps to 95 %",
                f"{_steps(short)} against {_steps(mixed)} steps",
                _verdict(short < mixed),
            ]
        )
    return body


def _mean_steps(rows: Rows, name: str) -> float:
    """Returns the mean; infinite if a seed does not reach the target."""
    steps = [row["steps"] for row in _by_seed(rows, name).values()]
    return math.inf if None in steps else statistics.mean(steps)


def _rho_goals() -> list[list[str]]:
    rows = _rows(rho.NAME)
    if not _by_seed(rows, "uniform"):
        return []
    body = []
    for name, title in (
        ("rho", "RHO"),
        ("rho_large", "RHO, 50,000 held-out samples"),
    ):
        own = _by_seed(rows, name)
        if own:
            wrong = statistics.mean(row["wrong"][-1] for row in own.values())
            base = statistics.mean(row["base"] for row in own.values())
            body += [
                _steps_goal(rows, name, title),
                [
                    f"{title}: fewer wrong labels selected than by chance",
                    f"{wrong:.1%} against {base:.1%}",
                    _verdict(wrong < base),
                ],
            ]
    return body


def _steps_goal(rows: Rows, name: str, title: str) -> list[str]:
    shares = []
    for seed in _by_seed(rows, name):
        base = _base(rows, seed)["accuracy"]
        there = (base.index(max(base)) + 1) * rho.STEPS_PER_EPOCH
        mine = _reach(rows, name, seed)
        shares.append(None if mine is None else mine / there)
    known = [share for share in shares if share is not None]
    text = f"{statistics.mean(known):.2f}" if known else "not reached"
    if len(known) < len(shares):
        text += f" ({len(known)} of {len(shares)} seeds)"
    met = len(known) == len(shares) and statistics.mean(known) <= 0.6
    return [
        f"{title}: share of steps to the best accuracy of uniform ≤ 0.6",
        text,
        _verdict(met),
    ]


def _reach(rows: Rows, name: str, seed: int) -> int | None:
    """Returns the steps to the best accuracy of uniform batches."""
    target = max(_base(rows, seed)["accuracy"])
    for epoch, value in enumerate(_by_seed(rows, name)[seed]["accuracy"], 1):
        if value >= target:
            return epoch * rho.STEPS_PER_EPOCH
    return None


def _base(rows: Rows, seed: int) -> dict[str, Any]:
    return _by_seed(rows, "uniform")[seed]


def _difference(rows: Rows, name: str) -> Any:
    mine, base = _by_seed(rows, name), _by_seed(rows, "shuffle")
    seeds = sorted(set(mine) & set(base))
    if not seeds or name == "shuffle":
        return None
    finals = ([own[s]["accuracy"][-1] for s in seeds] for own in (mine, base))
    return paired_difference(name, *finals)


def _gap(rows: Rows, name: str) -> str:
    gap = _difference(rows, name)
    return str(gap) if gap else "-"


def _by_seed(rows: Rows, arm: str) -> dict[int, dict[str, Any]]:
    return {row["seed"]: row for row in rows if row["arm"] == arm}


def _rows(name: str) -> Rows:
    return load(name)["rows"] if (RESULTS / f"{name}.json").exists() else []


def _present(rows: Rows, field: str, names: Iterable[str]) -> list[str]:
    found = {row[field] for row in rows}
    return [name for name in names if name in found]


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


def _percent(values: Iterable[float]) -> str:
    return f"{statistics.mean(values):.1%}"


def _steps(steps: float | None) -> str:
    known = steps is not None and steps < math.inf
    return f"{steps:,.0f}" if known else "not reached"


def _seeds(rows: Rows) -> str:
    counts = {
        kind: len({r["seed"] for r in rows if r.get("noise") == kind})
        for kind in dict.fromkeys(r.get("noise") for r in rows)
    }
    if set(counts) == {None}:
        return f"{counts[None]} seeds"
    return ", ".join(f"{n} seeds ({kind})" for kind, n in counts.items())


def _verdict(met: bool) -> str:
    return "yes" if met else "**no**"


TABLES: dict[str, Callable[[], str]] = {
    "curriculum noise": noise_table,
    "curriculum whole": whole_table,
    "curriculum goals": goal_table,
    "curriculum copying": copying_table,
    "curriculum rho": rho_table,
    "curriculum warmup": warmup_tables.table,
    "curriculum overhead": overhead_tables.table,
    "curriculum environment": environment_note,
}
