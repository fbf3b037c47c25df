"""From the dense file to the smallest one, step by step.

Run with `python -m benchmarks.edge.ladder` on the TensorFlow backend. Every
step starts from the model of the step before it; the control is the dense
network trained in float for as many epochs as all steps together.
"""

import argparse
import dataclasses
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.edge import files, networks
from benchmarks.edge.sequences import Stage, run_stage
from benchmarks.edge.starts import Bench
from benchmarks.records import Records

NAME = "edge_ladder"
CHANNELS = Stage(4, channels=0.5)
ZEROS = Stage(3, zeros=0.7, rate=0.5)
DISTILLED = dataclasses.replace(ZEROS, distilled=True)
BITS = Stage(2, zeros=0.7, distilled=True, rate=0.3)
FORMS = {8: "int8", 4: "int4", 2: "int2"}
KINDS = ("mobile", "speech")
STEPS = {
    "dense": "dense",
    "control": "control: dense, trained on",
    "rounded": "dense, int8 after training",
    "channels": "half of the MACs cut, float",
    "zeros": "and 70 % zeros",
    "distilled": "and 70 % zeros, distilled",
    "bits-8": "and 8 bits, int8 activations",
    "bits-4": "and 4 bits",
    "bits-2": "and 2 bits",
}
SETTINGS = {
    "channels": dataclasses.asdict(CHANNELS),
    "zeros": dataclasses.asdict(ZEROS),
    "bits": dataclasses.asdict(BITS),
    **{k: dataclasses.asdict(networks.SETTINGS[k]) for k in KINDS},
}

Row = dict[str, Any]


def measure_steps(bench: Bench, seed: int) -> Iterator[tuple[str, Row]]:
    """Yields the name and the file of every step.

    Args:
        bench: Data and starting points.
        seed: Seed of the start and of the order of the samples.
    """
    model = bench.start(seed)
    yield "dense", files.measure_model(bench, model, seed, None)
    yield "rounded", files.measure_model(bench, model, seed, "int8")
    run_stage(
        bench, model, seed, Stage(CHANNELS.epochs + ZEROS.epochs + BITS.epochs)
    )
    yield "control", files.measure_model(bench, model, seed, None)
    model = bench.start(seed)
    run_stage(bench, model, seed, CHANNELS)
    yield "channels", files.measure_model(bench, model, seed, None)
    other = _copy(model)
    run_stage(bench, other, seed, ZEROS)
    yield "zeros", files.measure_model(bench, other, seed, None)
    run_stage(bench, model, seed, DISTILLED)
    yield "distilled", files.measure_model(bench, model, seed, None)
    for bits, form in FORMS.items():
        other = _copy(model)
        stage = dataclasses.replace(BITS, bits=bits, ranges=form == "int8")
        run_stage(bench, other, seed, stage, ramp=False)
        yield f"bits-{bits}", files.measure_model(bench, other, seed, form)


def _copy(model: Any) -> Any:
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return keras.saving.load_model(path)


def main() -> None:
    """Measures every missing step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", default=KINDS)
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for seed in range(options.seeds):
        for kind in options.settings:
            # The last step is written last: without it all are missing.
            if records.find(setting=kind, seed=seed, step="bits-2"):
                continue
            bench = Bench(kind)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows = list(measure_steps(bench, seed))
            for step, row in rows:
                records.add(
                    {"setting": kind, "seed": seed, "step": step, **row}
                )
                print(kind, seed, step, row, flush=True)


if __name__ == "__main__":
    main()
