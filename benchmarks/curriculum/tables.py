"""Markdown tables of the curriculum benchmarks, made from their JSON alone."""

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.curriculum import (
    arms,
    copying,
    noise,
    overhead,
    rho,
    warmup_tables,
)
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from keras_netopt.curriculum.arm_comparison import paired_difference

Rows = list[dict[str, Any]]
NOT_YET = "Not measured yet."
BACKENDS = ("jax", "tensorflow", "torch")
TITLES = {
    "redrawn": "labels redrawn, p = 0.4 (36 % wrong)",
    "flipped": "40 % of the labels flipped",
    "clean": "clean labels",
}
GAIN, LOSS = 0.05, 0.005


def whole_table() -> str:
    """Returns what some arms reach with all images."""
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
        f"arm makes {steps:,} steps. Differences are paired by seed. "
        '"Wrong" is the share of wrong labels among the samples shown.'
    )
    backward = [row["backward"] for row in rows if "backward" in row]
    if backward:
        note += f" SelectiveBackprop let {_percent(backward)} pass backward."
    return "\n\n".join([*parts, note])


def goal_table() -> str:
    """Returns what was aimed at and what came out."""
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
    body += _overhead_goals()
    covered = [row["coverage"] for row in rows if row["arm"] != "shuffle"]
    if covered:
        body.append(
            [
                "each class keeps half of its share",
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
    """Returns the steps until the sequences are right."""
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
    head = ["arm", "steps to 95 %, by seed", "token accuracy there"]
    limit = copying.EPOCHS * copying.STEPS_AN_EPOCH
    note = f"Measured every {copying.STEPS_AN_EPOCH} steps, {limit:,} at most."
    return f"{markdown(head, body)}\n\n{note}"


def rho_table() -> str:
    """Returns what equal steps reached, and which labels were chosen."""
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
        "steps to the best of uniform",
        "wrong labels chosen",
        "time",
    ]
    note = (
        f"{_seeds(rows)}, {rows[0]['steps']:,} steps of {rho.KEPT} samples; "
        f"{_percent(row['base'] for row in rows)} of the labels are wrong. "
        "Best epochs are picked on test data and so optimistic. Time is "
        "relative to uniform batches; a candidate costs a forward pass."
    )
    return f"{markdown(head, body)}\n\n{note}"


def overhead_table() -> str:
    """Returns time ratios to plain arrays, and what scoring costs."""
    body, notes = [], []
    for backend in BACKENDS:
        rows = _rows(f"curriculum_overhead_{backend}")
        for name in dict.fromkeys(row["arm"] for row in rows):
            if name not in ("plain", "scoring"):
                cells = [_ratio(rows, name, clock) for clock in ("wall", "cpu")]
                body.append([backend, name, *cells])
        scoring = [r["wall"] for r in rows if r["arm"] == "scoring"]
        if scoring:
            epoch = [r["wall"] for r in rows if r["arm"] == "plain"]
            share = statistics.median(scoring) / statistics.median(epoch)
            notes.append(
                f"Scoring all {overhead.SAMPLES:,} samples by the model on "
                f"{backend}: {statistics.median(scoring):.2f} s, "
                f"{share:.0%} of an epoch."
            )
    if not body:
        return NOT_YET
    head = ["backend", "data", "wall time / arrays", "CPU time / arrays"]
    return "\n\n".join([markdown(head, body), *notes])


def environment_note() -> str:
    """Returns when, with what and on what the numbers were measured."""
    lines = []
    names = [noise.NAME, copying.NAME, rho.NAME]
    names += [f"curriculum_overhead_{backend}" for backend in BACKENDS]
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
                f"reversing: {copying.ARMS[name]}: sooner at 95 %",
                f"{_steps(short)} against {_steps(mixed)} steps",
                _verdict(short < mixed),
            ]
        )
    return body


def _mean_steps(rows: Rows, name: str) -> float:
    """Infinite where a seed does not get there."""
    steps = [row["steps"] for row in _by_seed(rows, name).values()]
    return math.inf if None in steps else statistics.mean(steps)


def _rho_goals() -> list[list[str]]:
    rows = _rows(rho.NAME)
    if not _by_seed(rows, "uniform"):
        return []
    body = []
    for name, title in (("rho", "RHO"), ("rho_large", "RHO, larger table")):
        own = _by_seed(rows, name)
        if own:
            wrong = statistics.mean(row["wrong"][-1] for row in own.values())
            base = statistics.mean(row["base"] for row in own.values())
            body += [
                _steps_goal(rows, name, title),
                [
                    f"{title}: fewer wrong labels chosen than there are",
                    f"{wrong:.1%} of {base:.1%}",
                    _verdict(wrong < base),
                ],
            ]
    return body


def _steps_goal(rows: Rows, name: str, title: str) -> list[str]:
    shares = []
    for seed in _by_seed(rows, name):
        base = _base(rows, seed)["accuracy"]
        there = (base.index(max(base)) + 1) * rho.STEPS_AN_EPOCH
        mine = _reach(rows, name, seed)
        shares.append(None if mine is None else mine / there)
    known = [share for share in shares if share is not None]
    text = f"{statistics.mean(known):.2f}" if known else "not reached"
    if len(known) < len(shares):
        text += f" ({len(known)} of {len(shares)} seeds)"
    met = len(known) == len(shares) and statistics.mean(known) <= 0.6
    return [f"{title}: steps to the best of uniform ≤ 0.6", text, _verdict(met)]


def _overhead_goals() -> list[list[str]]:
    found = []
    for backend in BACKENDS:
        rows = _rows(f"curriculum_overhead_{backend}")
        if rows:
            middle, _, _ = _quartiles(rows, "easy_first", "wall")
            found.append(
                [
                    f"data set costs at most 3 % on {backend}",
                    f"{middle - 1:+.1%}",
                    _verdict(middle <= overhead.LIMIT),
                ]
            )
    return found


def _reach(rows: Rows, name: str, seed: int) -> int | None:
    """Steps until an arm is as good as the best epoch of uniform batches."""
    target = max(_base(rows, seed)["accuracy"])
    for epoch, value in enumerate(_by_seed(rows, name)[seed]["accuracy"], 1):
        if value >= target:
            return epoch * rho.STEPS_AN_EPOCH
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


def _ratio(rows: Rows, name: str, clock: str) -> str:
    middle, low, high = _quartiles(rows, name, clock)
    return f"{middle:.3f} ({low:.2f}-{high:.2f})"


def _quartiles(rows: Rows, arm: str, clock: str) -> tuple[float, float, float]:
    times = {(r["arm"], r["round"]): r[clock] for r in rows if clock in r}
    rounds = sorted({r["round"] for r in rows if r["arm"] == arm})
    ratios = [times[arm, r] / times["plain", r] for r in rounds]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


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
    "curriculum overhead": overhead_table,
    "curriculum environment": environment_note,
}
