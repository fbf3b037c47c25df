"""Latency, MACs and accuracy of a network with early exits.

Run with `python -m benchmarks.adaptive_depth.early_exit` on the TensorFlow
backend, which LiteRT export needs. Rows in `benchmarks/results/early_exit.json`
are kept; `--fresh` measures all again.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.adaptive_depth import exit_network as network
from benchmarks.records import Records

NAME = "early_exit"
STARTS = Path("build", "benchmarks", "early_exit")
IMAGES = 2000  # Test images for latency.
ROUNDS = 3
SETTINGS = {
    "data": "Fashion-MNIST, 55,000 train, 5,000 held out, 10,000 test",
    "optimizer": f"Adam {network.RATE}, the second half a cosine",
    "batch": network.BATCH,
    "epochs": network.EPOCHS,
    "widths": network.WIDTHS,
    "at": network.LAYERS,
    "weights": "0.3 early, 1.0 at the end",
    "max_accuracy_drop": network.DROPS,
    "images_timed": IMAGES,
}

Row = dict[str, Any]


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    settings = {**SETTINGS, "limit": options.limit, "tried": options.epochs}
    name = NAME if options.limit is None else f"{NAME}_try"
    records = Records(name, settings, fresh=options.fresh)
    if options.fresh:
        for path in STARTS.glob("*.keras"):
            path.unlink()
    data = network.load_data(options.limit)
    epochs = options.epochs or (1 if options.limit else network.EPOCHS)
    for seed in range(options.seeds):
        for arm, run in ARMS.items():
            if arm not in options.arms or records.find(arm=arm, seed=seed):
                continue
            begin, cpu = time.perf_counter(), time.process_time()
            row = run(data, seed, epochs)
            row["seconds"] = round(time.perf_counter() - begin, 1)
            row["cpu_seconds"] = round(time.process_time() - cpu, 1)
            records.add({"arm": arm, "seed": seed, **row})
            print(f"{arm} seed {seed}: {_line(row)}", flush=True)


def run_alone(data: Any, seed: int, epochs: int) -> Row:
    """Trains the network without exits, as a control."""
    import keras

    keras.utils.set_random_seed(seed)
    model = network.compiled(network.backbone())
    network.fit(model, data[0], seed, epochs)
    return {"accuracy": _accuracy(model.predict(data[2][0], verbose=0), data)}


def run_exits(arm: str) -> Callable[[Any, int, int], Row]:
    """Makes an arm: calibrates thresholds, measures on test images."""

    def run(data: Any, seed: int, epochs: int) -> Row:
        from keras_netopt import depth

        exits = depth.calibrate(
            _trained(data, seed, epochs),
            *data[1],
            max_accuracy_drop=network.DROPS[arm],
        )
        return _measured(exits, data)

    return run


def _trained(data: Any, seed: int, epochs: int) -> Any:
    """The trained network with exits, shared by all arms."""
    import keras

    from keras_netopt import depth

    path = STARTS / f"exits-{len(data[0][0])}-{epochs}-{seed}.keras"
    if not path.exists():
        keras.utils.set_random_seed(seed)
        model = depth.add_exits(
            network.backbone(), layers=network.LAYERS, heads=network.heads()
        )
        network.fit(network.compiled(model), data[0], seed, epochs)
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return keras.saving.load_model(path)


def _measured(exits: Any, data: Any) -> Row:
    return {
        "macs_by_exit": exits.calibration.costs.by_exit,
        "macs_full": exits.full_cost,
        "first_exit_share": exits.calibration.costs.by_exit[0]
        / exits.full_cost,
        "thresholds": exits.thresholds,
        "held_out_accuracy": exits.accuracy,
        "held_out_full_accuracy": exits.full_accuracy,
        **_on_test(exits, data[2]),
        **_curve(exits, data[2]),
        **_files(exits, data[2]),
        **_batched(exits, data[2]),
    }


ARMS = {**{arm: run_exits(arm) for arm in network.DROPS}, "alone": run_alone}


def _on_test(exits: Any, test: network.Pair) -> Row:
    """Accuracy with and without exits, paired by image."""
    x, y = test
    logits, indices = exits.predict(x, return_exits=True, mode="stages")
    correct = logits.argmax(-1) == y
    full = exits.predict(x, mode="full").argmax(-1) == y
    shares = np.bincount(indices, minlength=len(exits.exit_names)) / len(x)
    lost, gained = int((full & ~correct).sum()), int((correct & ~full).sum())
    drop = (lost - gained) / len(x)
    error = np.sqrt((lost + gained) / len(x) - drop**2) / np.sqrt(len(x))
    return {
        "accuracy": float(correct.mean()),
        "full_accuracy": float(full.mean()),
        "lost": lost,
        "gained": gained,
        "drop": drop,
        "drop_interval": [drop - 1.96 * error, drop + 1.96 * error],
        "fractions": dict(zip(exits.exit_names, shares.tolist(), strict=True)),
        "macs": float(shares @ np.array(exits.calibration.costs.by_exit)),
    }


def _curve(exits: Any, test: network.Pair) -> Row:
    """The operating points of the held-out front, on test images."""
    from keras_netopt.depth.exits.calibrate import measure_exits
    from keras_netopt.depth.exits.threshold_search import evaluate_thresholds

    found = measure_exits(exits.exit_model, *test, exits.criterion)
    costs = np.array(exits.calibration.costs.by_exit)
    curve = []
    for point in exits.front:
        there = evaluate_thresholds(
            found.scores, found.correct, costs, point.thresholds
        )
        curve.append([there.cost, there.accuracy, point.accuracy])
    return {
        "curve": curve,
        "exit_accuracies": found.accuracies,
    }


def _files(exits: Any, test: network.Pair) -> Row:
    """Mean latency of a test image, in one file and in stage files."""
    from keras_netopt import export
    from keras_netopt.cost.tflite_model import TfliteModel

    x = test[0][:IMAGES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = exits.export(folder / "one.tflite", single_file=True)
        split = exits.export(folder / "stages")
        report = export.to_litert(
            exits.exit_model.backbone(), folder / "full.tflite"
        )
        calls = {
            "full": _runner(TfliteModel(folder / "full.tflite")),
            "one": _runner(TfliteModel(folder / "one.tflite")),
        }
        times = _interleaved(calls, x)
    return {
        "latency_full_ms": times["full"],
        "latency_ms": times["one"],
        "latency_by_exit_ms": one.latency_ms,
        "split_latency_by_exit_ms": split.latency_ms,
        "split_full_ms": split.full_ms,
        "bytes": one.bytes,
        "bytes_full": report.size.raw,
        "bytes_split": split.bytes,
    }


def _runner(lite: Any) -> Any:
    lite.prepare({"image": np.zeros((1, 28, 28, 1), "float32")})
    return lambda image: lite.prepare({"image": image})


def _interleaved(calls: dict[str, Any], x: np.ndarray) -> dict[str, float]:
    """Mean over images of the fastest round, in CPU time of the thread."""
    taken = {name: np.full(len(x), np.inf) for name in calls}
    for _ in range(ROUNDS):
        for k in range(len(x)):
            for name, call in calls.items():
                invoke = call(x[k : k + 1])
                start = time.thread_time()
                invoke()
                spent = 1e3 * (time.thread_time() - start)
                taken[name][k] = min(taken[name][k], spent)
    return {name: float(values.mean()) for name, values in taken.items()}


def _batched(exits: Any, test: network.Pair) -> Row:
    """CPU time of all test images in batches of 256, in turns."""
    times: dict[str, list[float]] = {"stages": [], "full": []}
    for mode in times:
        exits.predict(test[0], mode=mode)
    for _ in range(ROUNDS):
        for mode, spent in times.items():
            start = time.process_time()
            exits.predict(test[0], mode=mode)
            spent.append(time.process_time() - start)
    return {
        "batched_seconds": min(times["stages"]),
        "batched_full_seconds": min(times["full"]),
    }


def _accuracy(logits: np.ndarray, data: Any) -> float:
    return float((logits.argmax(-1) == data[2][1]).mean())


def _line(row: Row) -> str:
    text = f"{row['accuracy']:.4f}"
    if "latency_ms" in row:
        text += (
            f" against {row['full_accuracy']:.4f}, "
            f"{row['latency_full_ms'] / row['latency_ms']:.2f} times faster, "
            f"MACs {row['macs_full'] / row['macs']:.2f} times fewer"
        )
    return f"{text} ({row['cpu_seconds']} CPU s)"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--arms", nargs="+", default=list(network.DROPS), choices=ARMS
    )
    parser.add_argument("--epochs", type=int, help="with --limit alone")
    parser.add_argument("--limit", type=int, help="number of training images")
    options = parser.parse_args()
    if options.epochs and not options.limit:
        parser.error("--epochs goes with --limit")
    return options


if __name__ == "__main__":
    main()
