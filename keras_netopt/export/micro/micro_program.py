"""Runs a file in LiteRT and TFLite Micro, in a process of its own.

The process is started as `python micro_program.py JOB`; JOB is a file of
JSON. It imports neither Keras nor, where ai-edge-litert is installed,
TensorFlow. Native code of TFLite Micro writes its reasons to stderr.
"""

import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

LITERT, MICRO = "LiteRT", "TFLite Micro"
Arrays = dict[str, np.ndarray]


def main(path: str) -> None:
    """Runs the job: all inputs in both runtimes, within its seconds."""
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    sys.path[:] = job["sys_path"]

    def tell(name: str, content: Any) -> None:
        temporary = os.path.join(job["folder"], f"{name}.part")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(temporary, os.path.join(job["folder"], f"{name}.json"))

    with np.load(job["inputs"]) as stored:
        inputs = [stored[f"input_{k}"] for k in range(job["count"])]
    calls = len(inputs[0]) if inputs else 1
    end = time.monotonic() + job["seconds"]
    found: Arrays = {}
    for runtime, load in ((MICRO, _load_micro), (LITERT, _load_litert)):
        tell("stage", [runtime, "loaded the file"])
        try:
            run = load(job)
            tell("stage", [runtime, "ran the file"])
            done = 0
            while done < calls and (done == 0 or time.monotonic() < end):
                outputs = run([array[done] for array in inputs])
                for k, array in enumerate(outputs):
                    found[f"{runtime} {done} {k}"] = np.asarray(array)
                done += 1
        except Exception as error:
            tell("error", [runtime, f"{type(error).__name__}: {error}"])
            break
        calls = min(calls, done)
        end = float("inf")
    tell("calls", calls)
    target = os.path.join(job["folder"], "outputs.npz")
    np.savez(target, **found)  # type: ignore[arg-type]


def _load_micro(job: dict[str, Any]) -> Callable[..., list[np.ndarray]]:
    runtime = importlib.import_module("tflite_micro").runtime
    # The file may be changed by others; both must run the same bytes.
    interpreter = runtime.Interpreter.from_bytes(
        _read(job["path"]), arena_size=job["arena"]
    )
    is_first = True

    def run(inputs: list[np.ndarray]) -> list[np.ndarray]:
        nonlocal is_first
        if not is_first and job["has_state"]:
            interpreter.reset()
        for k, array in enumerate(inputs):
            interpreter.set_input(array, k)
        interpreter.invoke()
        if is_first:
            interpreter.print_allocations()
        is_first = False
        count = len(job["output_tensors"])
        return [interpreter.get_output(k) for k in range(count)]

    return run


def _load_litert(job: dict[str, Any]) -> Callable[..., list[np.ndarray]]:
    try:
        module: Any = importlib.import_module("ai_edge_litert.interpreter")
    except ImportError:
        module = importlib.import_module("tensorflow").lite
    interpreter = module.Interpreter(
        model_content=_read(job["path"]), num_threads=1
    )
    interpreter.allocate_tensors()

    def run(inputs: list[np.ndarray]) -> list[np.ndarray]:
        if job["has_state"]:
            interpreter.reset_all_variables()
        for tensor, array in zip(job["input_tensors"], inputs, strict=True):
            interpreter.set_tensor(tensor, array)
        interpreter.invoke()
        return [interpreter.get_tensor(t) for t in job["output_tensors"]]

    return run


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(sys.argv[1])
