"""Runs that are killed again and again, and judged at their end."""

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crashes.child import Work, run_child
from benchmarks.crashes.judge import Judge
from benchmarks.crashes.witness import Moment, Witness
from benchmarks.records import Records

KILLS, KILLS_OF_A_RUN, MOST_RUNS = 20, 5, 12
SETTINGS = {"kills": KILLS, "kills_of_a_run": KILLS_OF_A_RUN}


@dataclass(frozen=True)
class Plan:
    """What is run and where it is killed.

    Args:
        name: Name of the case.
        work: Makes the work of a run, by its number; `None` is the run that
            is not interrupted. It ends with `finish`.
        progress: Estimates which share of the work a folder has saved.
        kinds: Share of each kind of moment, and the longest delay in seconds.
            Half of the kills have none: the child waits for them.
    """

    name: str
    work: Callable[[int | None], Work]
    progress: Callable[[Path], float]
    kinds: Mapping[str, tuple[float, float]]


def measure_all(
    name: str, settings: Mapping[str, Any], plans: Mapping[str, Plan]
) -> None:
    """Reads the command line and measures the cases that are not there yet.

    Args:
        name: Name of the results file.
        settings: What was measured.
        plans: The plan of each case, by its component in the registry and
            its name.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="+", help="names of cases")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--again", action="store_true", help="lost ones anew")
    parser.add_argument("--try-out", action="store_true", help="save nothing")
    options = parser.parse_args()
    if (options.kills, options.seed) != (KILLS, 0) and not options.try_out:
        parser.error("--kills and --seed need --try-out, which saves nothing")
    records = Records(name, {**SETTINGS, **settings}, fresh=options.fresh)
    if options.again:
        records.rows = [row for row in records.rows if not row["lost"]]
    for label, plan in plans.items():
        if options.cases and plan.name not in options.cases:
            continue
        if not options.try_out and records.find(case=plan.name):
            continue
        component = label.split(" ")[0]
        found = measure(plan, options.kills, options.seed)
        row = {"case": plan.name, "component": component, **found}
        print(json.dumps(row), flush=True)
        if not options.try_out:
            records.add(row)


def measure(plan: Plan, kills: int, seed: int) -> dict[str, Any]:
    """Kills runs of a case until there are enough kills; returns the counts.

    Raises:
        RuntimeError: If the run without interruption fails.
    """
    rng = random.Random(f"{seed} {plan.name}")
    judge = Judge()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole", "work")
        whole.mkdir(parents=True)
        outcome = run_child(plan.work(None), whole, None)
        if outcome.error:
            raise RuntimeError(f"{plan.name} fails:\n{outcome.error}")
        counts = json.loads((whole.parent / "counts.json").read_text())
        with np.load(whole.parent / "final.npz") as file:
            expected = dict(file)
        number = 0
        while judge.kills < kills and number < MOST_RUNS:
            place = Path(folder, str(number), "work")
            place.mkdir(parents=True)
            _run(plan, number, place, rng, counts, judge)
            judge.compare(place.parent / "final.npz", expected)
            number += 1
    return judge.row()


def finish(witness: Witness, found: Mapping[str, np.ndarray]) -> None:
    """Writes the result of a run beside its folder, in the child."""
    notes = Path("..")
    (notes / "counts.json").write_text(json.dumps(witness.counts))
    np.savez(notes / "partial.npz", **found)
    (notes / "partial.npz").rename(notes / "final.npz")


def _run(
    plan: Plan,
    number: int,
    place: Path,
    rng: random.Random,
    counts: Mapping[str, int],
    judge: Judge,
) -> None:
    """Starts one run until it ends, with kills at first."""
    left = KILLS_OF_A_RUN
    for _ in range(4 * KILLS_OF_A_RUN):
        moment = _draw(plan, rng, counts, place) if left else None
        outcome = run_child(plan.work(number), place, moment)
        judge.note(outcome, place)
        if outcome.killed is not None:
            left -= 1
        elif not outcome.error:
            break
        elif not judge.follow_remedy(outcome.error, place):
            break


def _draw(
    plan: Plan, rng: random.Random, counts: Mapping[str, int], place: Path
) -> Moment:
    """Draws a moment among those that are still ahead."""
    kinds = list(plan.kinds)
    kind = rng.choices(kinds, [plan.kinds[one][0] for one in kinds])[0]
    ahead = round(counts.get(kind, 0) * (1 - plan.progress(place)))
    delay = rng.uniform(0, plan.kinds[kind][1]) if rng.random() < 0.5 else 0.0
    return Moment(kind, rng.randint(1, max(1, ahead)), delay)
