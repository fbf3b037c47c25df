"""Executors of trials."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer

THREADS = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class LocalProcesses:
    """Creates pools with a new process per task."""

    workers: int

    def __post_init__(self) -> None:
        check_integer(self.workers, "workers", minimum=1)

    def __call__(self) -> Executor:
        """Returns a new pool."""
        # More tasks per child hang the pool (cpython#115634); TensorFlow
        # does not work in a forked child.
        return ProcessPoolExecutor(
            self.workers, mp_context=get_context("spawn"), max_tasks_per_child=1
        )


def local_processes(workers: int = 2) -> LocalProcesses:
    """Runs each trial in a new process on this machine.

    Memory does not grow over trials, and a process that dies fails its own
    trial only. Each process imports Keras, which takes some seconds of CPU.
    A script needs its search under `if __name__ == "__main__":`.

    Example:

    >>> import keras_netopt as netopt
    >>> netopt.search.local_processes(2).workers
    2

    Args:
        workers: Number of parallel trials, which share the CPU cores.
            Defaults to `2`.

    Returns:
        A value of `executor` of the tuners.

    Raises:
        TypeError: If `workers` is not an integer.
        ValueError: If `workers` is below 1.
    """
    return LocalProcesses(workers)


def to_executor(executor: Any) -> Any:
    """Returns an executor, or a function that returns one; or `None`.

    A number is that of the processes on this machine. An executor of Dask
    must not reuse the results of equal tasks.
    """
    if executor is None:
        return None
    if isinstance(executor, int | np.integer) and not isinstance(
        executor, bool
    ):
        return LocalProcesses(check_integer(executor, "executor", minimum=1))
    if not isinstance(executor, Executor) and not callable(executor):
        raise TypeError(
            "Argument `executor` must be a number of processes on this "
            "machine, `search.local_processes(n)`, a "
            "`concurrent.futures.Executor` or a function that returns one. "
            f"Received: executor={executor!r}"
        )
    if type(executor).__name__ == "ClientExecutor":
        if getattr(executor, "_kwargs", {}).get("pure", True):
            raise ValueError(
                "Argument `executor` must run every task: Dask reuses the "
                "results of equal tasks unless they are impure. Use "
                "`client.get_executor(pure=False)`. "
                "Received: an executor with pure=True"
            )
    return executor


def count_workers(executor: Any, workers: int | None) -> int:
    """Returns the number of parallel trials, by the argument or executor."""
    if workers is not None:
        return workers
    if isinstance(executor, LocalProcesses):
        return executor.workers
    if type(executor).__name__ == "ClientExecutor":
        found = sum(executor._client.ncores().values())
        if found:
            return int(found)
    own = getattr(executor, "_max_workers", None)
    if isinstance(own, int):
        return own
    raise ValueError(
        "Argument `workers` must be the number of parallel trials: the "
        f"executor does not report its own. Received: workers=None, "
        f"executor={executor!r}"
    )


@contextmanager
def worker_environment(workers: int) -> Iterator[None]:
    """Sets backend and threads of processes that share the cores."""
    share = str(max(1, (os.cpu_count() or 1) // workers))
    wanted = {"KERAS_BACKEND": keras.backend.backend()}
    wanted |= {name: share for name in THREADS if name not in os.environ}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
