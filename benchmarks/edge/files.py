"""What a device gets: bytes, accuracy and speed of LiteRT files."""

import gzip
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.edge.speech import FOLDER
from benchmarks.edge.starts import Bench

ROUNDS = 400
CALIBRATION = 200

Row = dict[str, Any]


def measure_model(bench: Bench, model: Any, seed: int, form: str | None) -> Row:
    """Writes a model in one form and measures the file.

    Args:
        bench: Data and starting points.
        model: The model.
        seed: Seed of the arm, for the dense file beside it.
        form: `quantize` of `to_litert`; int8 files get int8 inputs and
            outputs.
    """
    from keras_netopt import cost, export

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        export.to_litert(
            model,
            path,
            quantize=form,
            compact=True,
            quantized_io=form == "int8",
            calibration_data=bench.train_data[0][:CALIBRATION],
        )
        return {
            "macs": cost.summarize(model).macs,
            **measure(bench, path, seed),
        }


def measure(bench: Bench, path: Path, seed: int) -> Row:
    """Returns bytes, test accuracy and latency against the dense file.

    Args:
        bench: Data and starting points.
        path: The file.
        seed: Seed of the arm.
    """
    from keras_netopt import cost, export

    dense = dense_file(bench, seed)
    files = {"dense": str(dense), "this": str(path)}
    times = cost.measure_latency(files, rounds=ROUNDS, warmup=50)
    content = path.read_bytes()
    x, y = bench.test_data
    found = export.evaluate(path, x, y, batch_size=500)
    return {
        "raw": len(content),
        "gzip": len(gzip.compress(content, compresslevel=9, mtime=0)),
        "accuracy": round(float(found.accuracy), 4),
        "latency_us": round(1e3 * times["this"].median, 2),
        "latency_dense_us": round(1e3 * times["dense"].median, 2),
    }


def measure_dense(bench: Bench, seed: int) -> Row:
    """Returns what `measure` returns for the float file of the start."""
    return measure(bench, dense_file(bench, seed), seed)


def dense_file(bench: Bench, seed: int) -> Path:
    """Returns the float file of the starting point."""
    from keras_netopt import export

    path = FOLDER / f"{bench.kind}-{seed}.tflite"
    if not path.exists():
        export.to_litert(bench.start(seed), path, compact=True)
    return path
