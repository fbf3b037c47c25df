"""Runs a file in TFLite Micro and LiteRT, in a child process."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_netopt.export.micro import micro_program
from keras_netopt.export.micro.compare_outputs import compare_outputs
from keras_netopt.export.micro.explain_refusal import explain_refusal
from keras_netopt.export.micro.file_graph import FileGraph
from keras_netopt.export.micro.micro_run import (
    ENDED,
    NOT_MADE,
    RAN,
    REFUSED,
    MicroRun,
    RunDifference,
)
from keras_netopt.export.micro.micro_runtime import (
    INSTALL,
    NAME,
    find_installed,
)

SECONDS = 20.0  # For the inputs; at least one is run.
TIMEOUT = 300.0  # Seconds, with the imports.
SPARE = 2**26  # Bytes of arena beside the activations; untouched ones are free.
RECORDED = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")


def run_file(
    path: str,
    file: FileGraph,
    feeds: Mapping[str, np.ndarray],
    *,
    source: str = "random",
    planned: int | None = None,
) -> MicroRun:
    """Runs a file on inputs and compares the outputs.

    Args:
        path: The file.
        file: Its graphs.
        feeds: One array per input, of shape `(calls, *shape of the tensor)`,
            in its dtype.
        source: Where the inputs come from.
        planned: Bytes of its activations, if they are known.

    Returns:
        The run; an end of the process, too, is one.
    """
    version = find_installed()
    if version is None:
        reason = f"tflite-micro is not installed: {INSTALL}"
        return MicroRun(NOT_MADE, f"{reason} (Linux, Python 3.11 or 3.12)")
    with tempfile.TemporaryDirectory() as folder:
        _write_job(folder, path, file, feeds, planned)
        ended, stderr = _start(folder)

        def read(name: str) -> Any:
            try:
                with open(os.path.join(folder, f"{name}.json")) as opened:
                    return json.load(opened)
            except FileNotFoundError:
                return None

        run: dict[str, Any] = {"version": version, "source": source}
        sizes = {kind: int(n) for kind, n in RECORDED.findall(stderr)}
        stage = read("stage") or [NAME, "was started"]
        runtime, message = read("error") or ["", ""]
        if ended:
            return MicroRun(
                ENDED, f"{ended} while {stage[0]} {stage[1]}", **run
            )
        if message.startswith(("ImportError", "ModuleNotFoundError")):
            return MicroRun(NOT_MADE, f"{runtime}: {message}", **run)
        if runtime == NAME:
            reason = explain_refusal(stderr) or message
            return MicroRun(REFUSED, reason, **run)
        calls = read("calls")
        outputs: tuple[RunDifference, ...] = ()
        if not message:
            with np.load(os.path.join(folder, "outputs.npz")) as stored:
                outputs = compare_outputs(file, stored, calls)
        return MicroRun(
            RAN,
            f"LiteRT does not run it: {message}" if message else None,
            samples=calls,
            outputs=outputs,
            arena=sizes.get("total"),
            head=sizes.get("head"),
            tail=sizes.get("tail"),
            **run,
        )


def _write_job(
    folder: str,
    path: str,
    file: FileGraph,
    feeds: Mapping[str, np.ndarray],
    planned: int | None,
) -> None:
    graph = file.graphs[0]
    names = {tensor: name for name, tensor in file.inputs.items()}
    calls = len(next(iter(feeds.values()))) if feeds else 1
    arrays = {}
    # The runtime counts inputs by their place in the graph, which is not
    # always that in the signature.
    for k, tensor in enumerate(graph.inputs):
        if tensor in names:
            arrays[f"input_{k}"] = feeds[names[tensor]]
        else:
            info = graph.tensors[tensor]
            shape = (calls, *info.shape)
            arrays[f"input_{k}"] = np.zeros(shape, info.dtype.lower())
    inputs = os.path.join(folder, "inputs.npz")
    np.savez(inputs, **arrays)  # type: ignore[arg-type]
    job = {
        "sys_path": [one for one in sys.path if isinstance(one, str)],
        "folder": folder,
        "path": os.path.abspath(path),
        "inputs": inputs,
        "count": len(graph.inputs),
        "input_tensors": graph.inputs,
        "output_tensors": graph.outputs,
        "has_state": any(
            one.is_variable or one.dtype == "RESOURCE"
            for each in file.graphs
            for one in each.tensors
        ),
        "arena": 2 * (planned or 0) + SPARE,
        "seconds": SECONDS,
    }
    with open(os.path.join(folder, "job.json"), "w") as opened:
        json.dump(job, opened)


def _start(folder: str) -> tuple[str, str]:
    """Returns how the process ended, if early, and its stderr."""
    command = [sys.executable, "-W", "ignore", micro_program.__file__]
    stderr = os.path.join(folder, "stderr")
    with open(stderr, "w+b") as written:
        try:
            code = subprocess.run(
                [*command, os.path.join(folder, "job.json")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=written,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
                timeout=TIMEOUT,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            ended = f"its process was stopped after {TIMEOUT:g} seconds"
        except OSError as error:
            ended = f"no process could be started ({error})"
        else:
            ended = _describe_end(code)
        written.seek(0)
        text = written.read().decode(errors="replace")
    if ended and (said := explain_refusal(text)):
        ended += f" ({said})"
    return ended, text


def _describe_end(code: int) -> str:
    if code == 0:
        return ""
    if code > 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return f"its process ended by signal {name}"
