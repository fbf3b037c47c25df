"""Every callback in fits that SIGKILL ends again and again.

Run with `KERAS_BACKEND=jax python -m benchmarks.crashes.fits`. A run is a fit
with `keras.callbacks.BackupAndRestore`. It is killed at random moments: in an
epoch, before each change of a file, while an HDF5 file is written, while the
backup is deleted. It is started again each time, and at last not killed.
What training changes is then compared with a fit that was not interrupted.
Where a start raises an error that names a file to delete, the file is
deleted and the run goes on.
"""

import argparse
import contextlib
import json
import random
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import benchmarks.crashes.preload  # noqa: F401  # Before Keras.  # isort: skip
import keras
import numpy as np
from contract import probes

from benchmarks.crashes.cases import EPOCHS, Case, list_cases
from benchmarks.crashes.child import run_child
from benchmarks.crashes.judge import Judge
from benchmarks.crashes.witness import Moment, Witness
from benchmarks.records import Records

NAME = "crashes"
KILLS, KILLS_OF_A_RUN, MOST_RUNS = 20, 5, 12
SETTINGS = {
    "kills": KILLS,
    "kills_of_a_run": KILLS_OF_A_RUN,
    "epochs": EPOCHS,
    "models": "tests/contract",
    "backup": "first and last in the list, double_checkpoint False and True",
}
# Share of each kind of moment, and the longest delay in seconds. A part of
# the kills has no delay: the child waits for them.
KINDS = {"batch": (0.4, 0.02), "file": (0.4, 0.005), "h5": (0.2, 0.003)}
BACKUP = "backup"


def main() -> None:
    """Measures the cases that are not in the results yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="+", help="names of cases")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--again", action="store_true", help="lost ones anew")
    parser.add_argument("--try-out", action="store_true", help="save nothing")
    options = parser.parse_args()
    cases = list_cases()
    if options.cases:
        cases = [case for case in cases if case.name in options.cases]
    backend = keras.backend.backend()
    records = Records(f"{NAME}_{backend}", SETTINGS, fresh=options.fresh)
    if options.again:
        records.rows = [row for row in records.rows if not row["lost"]]
    for case in cases:
        if not options.try_out and records.find(case=case.name):
            continue
        row = measure(case, options.kills, options.seed)
        print(json.dumps(row), flush=True)
        if not options.try_out:
            records.add(row)


def measure(case: Case, kills: int, seed: int) -> dict[str, Any]:
    """Kills runs of a case until there are enough kills; returns a row."""
    rng = random.Random(f"{seed} {case.name}")
    judge = Judge()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        expected, counts = train_whole(case, whole)
        number = 0
        while judge.kills < kills and number < MOST_RUNS:
            one = Path(folder, str(number))
            is_first, double = bool(number % 2), bool(number // 2 % 2)
            work = partial(train, case, is_first, double)
            run(work, one, rng, counts, judge)
            judge.compare(one / "final.npz", expected)
            number += 1
    return {"case": case.name, "component": case.component, **judge.row()}


def train_whole(
    case: Case, folder: Path
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Trains without interruption; returns the result and all events.

    Raises:
        RuntimeError: If the training fails.
    """
    (folder / "work").mkdir(parents=True)
    outcome = run_child(
        partial(train, case, False, False), folder / "work", None
    )
    if outcome.error:
        raise RuntimeError(f"{case.name} fails:\n{outcome.error}")
    counts = json.loads((folder / "counts.json").read_text())
    with np.load(folder / "final.npz") as file:
        return dict(file), counts


def run(
    work: Any,
    folder: Path,
    rng: random.Random,
    counts: dict[str, int],
    judge: Judge,
) -> None:
    """Starts one fit until it ends, with kills at first."""
    place = folder / "work"
    place.mkdir(parents=True)
    left = KILLS_OF_A_RUN
    for _ in range(4 * KILLS_OF_A_RUN):
        moment = draw(rng, counts, place) if left else None
        outcome = run_child(work, place, moment)
        judge.note(outcome, place)
        if outcome.killed is not None:
            left -= 1
        elif not outcome.error:
            break
        elif not judge.follow_remedy(outcome.error, place):
            break


def draw(rng: random.Random, counts: dict[str, int], place: Path) -> Moment:
    """Draws a moment among those that are still ahead."""
    kinds, shares = zip(*((k, s) for k, (s, _) in KINDS.items()), strict=True)
    kind = rng.choices(kinds, shares)[0]
    epoch = 0
    with contextlib.suppress(OSError, ValueError):
        text = (place / BACKUP / "training_metadata.json").read_text()
        epoch = json.loads(text)["epoch"]
    ahead = max(1, round(counts.get(kind, 0) * (1 - epoch / EPOCHS)))
    delay = rng.uniform(0, KINDS[kind][1]) if rng.random() < 0.5 else 0.0
    return Moment(kind, rng.randint(1, ahead), delay)


class Announce(keras.callbacks.Callback):
    """Shows the batches to a witness."""

    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self.witness = witness

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras."""
        self.witness.see("batch", "batch")


def train(case: Case, is_first: bool, double: bool, witness: Witness) -> None:
    """Trains a case in a child, and writes the result beside the folder."""
    witness.watch_files()
    model, chosen, arguments = case.build()
    backup = keras.callbacks.BackupAndRestore(BACKUP, double_checkpoint=double)
    listed = [backup, *chosen] if is_first else [*chosen, backup]
    model.fit(
        callbacks=[*listed, Announce(witness)],
        shuffle=False,
        verbose=0,
        **arguments,
    )
    found = probes.state(model)
    for callback in chosen:
        path = getattr(callback, "filepath", None)
        if path is not None:
            saved = keras.saving.load_model(path)
            best = probes.weights(saved)
            found |= {f"best {name}": value for name, value in best.items()}
    Path("../counts.json").write_text(json.dumps(witness.counts))
    np.savez("../partial.npz", **found)
    Path("../partial.npz").rename("../final.npz")


if __name__ == "__main__":
    main()
