"""The smallest download and the lowest latency of a small CNN.

Run with `python -m benchmarks.edge.goals` on the TensorFlow backend. Each way
starts from the same dense network and trains for as many epochs as the
control, which stays dense and float.
"""

import argparse
import dataclasses
import warnings
from dataclasses import dataclass

from benchmarks.edge import files, networks
from benchmarks.edge.clock import timed_fits
from benchmarks.edge.sequences import Stage, run_stages
from benchmarks.edge.starts import Bench
from benchmarks.records import Records

NAME = "edge_goals"
KIND = "cnn"


@dataclass(frozen=True)
class Way:
    """One sequence of fits and the form of its file.

    Args:
        title: For the tables.
        stages: The fits.
        form: `quantize` of `to_litert`.
    """

    title: str
    stages: tuple[Stage, ...]
    form: str | None


CUT = Stage(3, channels=0.75, resource="params")
WAYS = {
    "control": Way("dense, trained on", (Stage(6),), None),
    "zeros-4": Way(
        "95 % zeros, 4 bits",
        (Stage(4, zeros=0.95), Stage(2, zeros=0.95, bits=4, rate=0.3)),
        "int4",
    ),
    "channels-zeros-4": Way(
        "3/4 of the parameters cut, 80 % zeros, 4 bits",
        (CUT, Stage(3, zeros=0.8, bits=4)),
        "int4",
    ),
    "channels-zeros-4-distilled": Way(
        "3/4 of the parameters cut, 80 % zeros, 4 bits, distilled",
        (
            dataclasses.replace(CUT, distilled=True),
            Stage(3, zeros=0.8, bits=4, distilled=True),
        ),
        "int4",
    ),
    "one-fit-4-distilled": Way(
        "the same in one fit, with one cut",
        (
            Stage(
                6,
                channels=0.75,
                resource="params",
                at_once=True,
                zeros=0.8,
                bits=4,
                begin=0.5,
                distilled=True,
            ),
        ),
        "int4",
    ),
    "channels-2-distilled": Way(
        "3/4 of the parameters cut, 2 bits, distilled",
        (
            dataclasses.replace(CUT, distilled=True),
            Stage(3, bits=2, distilled=True),
        ),
        "int2",
    ),
    "rounded": Way("dense, int8 after training", (), "int8"),
    "fast": Way(
        "60 % of the MACs cut, int8",
        (Stage(4, channels=0.6), Stage(2, bits=8, ranges=True, rate=0.3)),
        "int8",
    ),
    "fast-first": Way(
        "70 % of the MACs cut, first layer too, int8, distilled",
        (
            Stage(4, channels=0.7, first=True, distilled=True),
            Stage(2, bits=8, ranges=True, distilled=True, rate=0.3),
        ),
        "int8",
    ),
    "fast-distilled": Way(
        "60 % of the MACs cut, int8, distilled",
        (
            Stage(4, channels=0.6, distilled=True),
            Stage(2, bits=8, ranges=True, distilled=True, rate=0.3),
        ),
        "int8",
    ),
}
SETTINGS = {
    **{name: dataclasses.asdict(way) for name, way in WAYS.items()},
    KIND: dataclasses.asdict(networks.SETTINGS[KIND]),
}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    bench = Bench(KIND)
    for seed in range(options.seeds):
        dense = files.measure_dense(bench, seed)
        for name in options.ways:
            if records.find(way=name, seed=seed):
                continue
            way = WAYS[name]
            with warnings.catch_warnings(), timed_fits() as clock:
                warnings.simplefilter("ignore")
                model = run_stages(bench, seed, way.stages)
            row = files.measure_model(bench, model, seed, way.form)
            row |= {"dense": dense, "seconds": clock["seconds"]}
            records.add({"way": name, "seed": seed, **row})
            print(name, seed, row, flush=True)


if __name__ == "__main__":
    main()
