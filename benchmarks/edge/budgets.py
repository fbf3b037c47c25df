"""One call against a sequence by hand, at one budget and equal training.

Run with `python -m benchmarks.edge.budgets` on the TensorFlow backend. Both
arms start from the same dense network, see the same training and validation
data and train for the same number of epochs.
"""

import argparse
import dataclasses
import tempfile
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.edge import files, networks, starts
from benchmarks.edge.clock import timed_fits
from benchmarks.edge.sequences import Stage, run_stages
from benchmarks.edge.starts import Bench
from benchmarks.records import Records

NAME = "edge_budgets"
MAX_DROP = 0.01

Row = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What a file must meet, and how a careful user gets there by hand.

    Args:
        target: Arguments of `Target`.
        stages: The fits of the sequence by hand.
        one_fit: The same in one fit, with one cut before it.
        form: `quantize` of `to_litert`, in the sequence by hand.
    """

    target: dict[str, Any]
    stages: tuple[Stage, ...]
    one_fit: Stage
    form: str


BUDGETS = {
    "mobile": Budget(
        {"kilobytes": 60, "latency_ratio": 0.33, "io": "int8"},
        (
            Stage(4, channels=0.8),
            Stage(2, bits=8, ranges=True, rate=0.3),
        ),
        Stage(6, channels=0.8, at_once=True, bits=8, ranges=True, begin=0.5),
        "int8",
    ),
    "speech": Budget(
        {"kilobytes": 20, "macs": 0.4, "io": "int8"},
        (
            Stage(4, channels=0.62),
            Stage(2, bits=8, ranges=True, rate=0.3),
        ),
        Stage(6, channels=0.62, at_once=True, bits=8, ranges=True, begin=0.5),
        "int8",
    ),
    "cnn": Budget(
        {"gzip_kilobytes": 25},
        (
            Stage(3, channels=0.75, resource="params"),
            Stage(3, zeros=0.8, bits=4),
        ),
        Stage(
            6,
            channels=0.75,
            resource="params",
            at_once=True,
            zeros=0.8,
            bits=4,
            begin=0.5,
        ),
        "int4",
    ),
    "mlp": Budget(
        {"kilobytes": 40},
        (
            Stage(4, channels=0.75, resource="params"),
            Stage(2, bits=4, rate=0.3),
        ),
        Stage(
            6,
            channels=0.75,
            resource="params",
            at_once=True,
            bits=4,
            begin=0.5,
        ),
        "int4",
    ),
}
SETTINGS = {
    "max_drop": MAX_DROP,
    **{kind: dataclasses.asdict(b) for kind, b in BUDGETS.items()},
    "networks": {
        kind: dataclasses.asdict(networks.SETTINGS[kind]) for kind in BUDGETS
    },
}


def run_hand(bench: Bench, seed: int, *, one_fit: bool = False) -> Row:
    """Runs the sequence by hand; returns its file."""
    budget = BUDGETS[bench.kind]
    stages = (budget.one_fit,) if one_fit else budget.stages
    with timed_fits() as clock:
        model = run_stages(bench, seed, stages)
        row = files.measure_model(bench, model, seed, budget.form)
    return {**row, "clock": clock}


def run_compress(bench: Bench, seed: int) -> Row:
    """Calls `compress` once; returns the file it leaves."""
    import keras

    import keras_netopt as netopt

    budget = BUDGETS[bench.kind]
    model = bench.start(seed)
    keras.utils.set_random_seed(starts.FURTHER + seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        with timed_fits() as clock:
            result = netopt.compress(
                model,
                *bench.train_data,
                validation_data=bench.validation_data,
                target=netopt.Target(**budget.target),
                path=path,
                max_drop=MAX_DROP,
                epochs=sum(stage.epochs for stage in budget.stages),
                batch_size=networks.BATCH,
                learning_rate=bench.setting.rate,
                seed=seed,
                verbose=0,
            )
        return {
            "macs": netopt.cost.summarize(result.model).macs,
            **files.measure(bench, path, seed),
            "clock": clock,
            "said_met": result.met,
            "overhead": round(result.overhead, 3),
            "files": result.planned_files + len(result.candidates),
        }


ARMS = {
    "hand": run_hand,
    "hand, one fit": partial(run_hand, one_fit=True),
    "compress": run_compress,
}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--settings", nargs="+", default=list(BUDGETS))
    options = parser.parse_args()
    from keras_netopt import cost

    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for kind in options.settings:
        bench = Bench(kind)
        for seed in range(options.seeds):
            for arm in options.arms:
                key = {"setting": kind, "arm": arm, "seed": seed}
                if records.find(**key):
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row = ARMS[arm](bench, seed)
                row["dense"] = files.measure_dense(bench, seed)
                row["dense_macs"] = cost.summarize(bench.start(seed)).macs
                records.add({**key, **row})
                print(*key.values(), row, flush=True)


if __name__ == "__main__":
    main()
