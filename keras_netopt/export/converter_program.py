"""Converts a SavedModel in a process of its own: TensorFlow, but no Keras.

The process is started as `python converter_program.py`; it reads the paths of
modules, then jobs, as lines of JSON. `run_job` is called by its parent, too,
for conversions that need no calibration. With the name of `rebuilt_model` as
an argument the process imports Keras, to rebuild a model first.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Samples = list[dict[str, np.ndarray]]
SAMPLES, STAGE, ERROR = "samples.npz", "stage.json", "error.json"
REBUILD = "keras_netopt.export.rebuilt_model"


def run_job(
    saved_model: str,
    target: str,
    settings: dict[str, Any],
    samples: Samples | None = None,
    report: Callable[[str], None] = lambda stage: None,
) -> None:
    """Writes a LiteRT file of a SavedModel.

    `settings` are those of `converter_settings`; `samples` hold batches of one
    sample for the calibration. `report` is called with what is done next.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.experimental_enable_resource_variables = True
    converter.optimizations = [
        getattr(tf.lite.Optimize, name) for name in settings["optimizations"]
    ]
    converter.target_spec.supported_ops = [
        getattr(tf.lite.OpsSet, name) for name in settings["ops"]
    ]
    if settings["types"]:
        converter.target_spec.supported_types = [
            tf.as_dtype(name) for name in settings["types"]
        ]
    if settings["io"]:
        dtype = tf.as_dtype(settings["io"])
        converter.inference_input_type = dtype
        converter.inference_output_type = dtype
    if samples is not None:
        converter.representative_dataset = lambda: iter(samples)
    calibrated = "" if samples is None else "calibrated and "
    report(f"{calibrated}converted the model")
    content = converter.convert()
    if samples is not None:
        report("ran the file once")
        _run_once(content, samples[0])
    with open(target, "wb") as file:
        file.write(content)


def _run_once(content: bytes, sample: dict[str, np.ndarray]) -> None:
    """Runs a file on zeros, so that a file that ends its process does here.

    Errors that Python can catch are left to the verification.
    """
    with contextlib.suppress(RuntimeError, ValueError):
        interpreter = _interpreter_class()(model_content=content, num_threads=1)
        runner = interpreter.get_signature_runner()
        details = runner.get_input_details()
        runner(
            **{
                name: np.zeros(array.shape, details[name]["dtype"])
                for name, array in sample.items()
            }
        )


def _interpreter_class() -> Any:
    with contextlib.suppress(ImportError):
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    return importlib.import_module("tensorflow").lite.Interpreter


def save_samples(path: str, samples: Samples) -> None:
    """Writes batches to a file."""
    names = [list(batch) for batch in samples]
    arrays: dict[str, Any] = {
        f"{k}:{name}": array
        for k, batch in enumerate(samples)
        for name, array in batch.items()
    }
    np.savez(path, names=json.dumps(names), **arrays)


def load_samples(path: str) -> Samples:
    """Returns the batches that `save_samples` wrote."""
    with np.load(path) as arrays:
        return [
            {name: arrays[f"{k}:{name}"] for name in names}
            for k, names in enumerate(json.loads(str(arrays["names"])))
        ]


def _write(folder: str, name: str, content: Any) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(content, file)


def _run(job: dict[str, Any]) -> None:
    folder = job["folder"]

    def report(stage: str) -> None:
        _write(folder, STAGE, stage)

    try:
        if "model" in job:
            rebuilt = importlib.import_module(REBUILD)
            rebuilt.rebuild_model(job["model"], job["saved_model"], report)
        if "target" in job:
            samples = os.path.join(folder, SAMPLES)
            run_job(
                job["saved_model"],
                job["target"],
                job["settings"],
                load_samples(samples) if job["calibrates"] else None,
                report=report,
            )
    # The converter, and the model's own code, may raise anything.
    except Exception as error:
        kind = "OSError" if isinstance(error, OSError) else type(error).__name__
        _write(folder, ERROR, [kind, str(error)])


def main() -> None:
    """Runs the jobs on the standard input, and answers each with a line.

    Ends with the parent process.
    """
    # What TensorFlow prints must not be read as an answer.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        sys.path[:] = json.loads(sys.stdin.readline())
        importlib.import_module("tensorflow")
        if REBUILD in sys.argv:
            importlib.import_module(REBUILD)
        for line in sys.stdin:
            _run(json.loads(line))
            print("done", file=answers, flush=True)


if __name__ == "__main__":
    main()
