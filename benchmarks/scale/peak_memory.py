"""The peak of the resident memory during a call, in a process of its own.

A measurement is a module that builds a model, enters `PeakMemory` around the
one call that is measured and prints its row as JSON in its last line;
`measure_in_child` runs it. Linux resets and reads the peak itself
(`/proc/self/clear_refs`, `VmHWM`), so nothing is sampled and nothing is
missed. Freed arrays go back to the system at once (see `ALLOCATOR`), so that
the peak is that of the arrays that are alive together. By default TensorFlow
keeps freed memory for oneDNN, in regions that double: the resident memory
then tells little about the arrays, before an edit or after.

What counts: the baseline is the resident memory just before the call, with
the weights of the built model and, where it is compiled, the slots of its
built optimizer. The peak is what is resident above it at the same moment.
Shares divide it by the bytes of the weights alone (`weight_bytes`), never by
those of the slots. An edit that ends with larger slots counts their growth.
"""

import ctypes
import gc
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from benchmarks.processes import measure_part

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TOP_PAD_": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


class PeakMemory:
    """Measures the largest resident memory inside a `with` block.

    `peak` holds the bytes above the baseline, `kept` what is still resident
    above it at the end, `baseline` the bytes before; read them after the
    block.
    """

    def __init__(self) -> None:
        self.baseline = self.peak = self.kept = 0

    def __enter__(self) -> Self:
        _return_free_memory()
        RESET.write_text("5")
        self.baseline = read_memory("VmRSS")
        return self

    def __exit__(self, *error: object) -> None:
        self.peak = read_memory("VmHWM") - self.baseline
        _return_free_memory()
        self.kept = read_memory("VmRSS") - self.baseline


def measure_in_child(
    module: str, backend: str, arguments: Sequence[str]
) -> dict[str, Any]:
    """Runs a measurement in a new process and returns the row it prints.

    A process that fails gives the reason under "failed".
    """
    return dict(measure_part(module, backend, arguments, **ALLOCATOR))


def weight_bytes(model: keras.Model) -> int:
    """Returns the bytes of a model's weights."""
    return sum(_bytes(one) for one in model.weights)


def slot_bytes(model: keras.Model) -> int:
    """Returns the bytes of the variables of a model's built optimizer."""
    return sum(_bytes(one) for one in model.optimizer.variables)


def read_memory(name: str) -> int:
    """Returns a value of the process, "VmRSS" or "VmHWM", in bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{STATUS} has no {name}")


def _bytes(variable: Any) -> int:
    dtype = keras.backend.standardize_dtype(variable.dtype)
    item = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
    return math.prod(int(length) for length in variable.shape) * item


def _return_free_memory() -> None:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
