"""Where trials run."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import keras

from keras_netopt.checks import check_integer

THREADS = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class LocalProcesses:
    """Makes pools whose every task has a fresh process.

    Args:
        workers: Processes at a time.
    """

    workers: int

    def __post_init__(self) -> None:
        check_integer(self.workers, "workers", minimum=1)

    def __call__(self) -> Executor:
        """Returns a new pool."""
        # With more tasks a child the pool hangs (cpython#115634), and a
        # forked child cannot use TensorFlow.
        return ProcessPoolExecutor(
            self.workers, mp_context=get_context("spawn"), max_tasks_per_child=1
        )


def local_processes(workers: int = 2) -> LocalProcesses:
    """Runs each trial in a fresh process of this machine.

    Memory does not grow over trials, and a trial that dies takes nobody with
    it. A process costs the import of Keras, some seconds of CPU. A script
    needs the line `if __name__ == "__main__":` in front of its search.

    Example:

    >>> import keras_netopt as netopt
    >>> netopt.search.local_processes(2).workers
    2

    Args:
        workers: Trials at a time, which share the processor's cores.
            Defaults to `2`.

    Returns:
        What `search.Tuner(executor=...)` takes.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is below 1.
    """
    return LocalProcesses(workers)


def check_executor(executor: Any) -> None:
    """Refuses what cannot run trials.

    Args:
        executor: An executor, or a function that makes one.

    Raises:
        TypeError: If it is neither.
        ValueError: If it is dask's and hands out old results again.
    """
    if not isinstance(executor, Executor) and not callable(executor):
        raise TypeError(
            "Argument `executor` must be `search.local_processes(n)`, a "
            "`concurrent.futures.Executor` or a function that makes one. "
            f"Received: executor={executor!r}"
        )
    if type(executor).__name__ == "ClientExecutor":
        if getattr(executor, "_kwargs", {}).get("pure", True):
            raise ValueError(
                "Argument `executor` must run every task: dask hands out the "
                "result of an equal one unless it is told not to. "
                "Use `client.get_executor(pure=False)`. "
                "Received: an executor with pure=True"
            )


def workers_of(executor: Any, workers: int | None) -> int:
    """Returns how many trials run at a time.

    Args:
        executor: An executor, or a function that makes one.
        workers: What the user says, or `None`.

    Raises:
        ValueError: If nobody says it.
    """
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
        "Argument `workers` must say how many trials run at a time, for this "
        f"executor does not. Received: workers=None, executor={executor!r}"
    )


@contextmanager
def environment(workers: int) -> Iterator[None]:
    """Sets what worker processes inherit: backend and threads.

    Args:
        workers: Processes that share the cores.
    """
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
