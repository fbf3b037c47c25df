"""Runs the trials of a search in other processes.

One thread owns the oracle: it starts and ends trials and answers the calls of
workers. It waits for events and never polls.
"""

import copy
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures import TimeoutError as LateError
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner import errors

from keras_netopt.search.running import isolated_worker, worker
from keras_netopt.search.running.executors import (
    LocalProcesses,
    count_workers,
    worker_environment,
)
from keras_netopt.search.running.oracle_server import OracleClient, OracleServer

DIED = "The worker process died (out of memory?)."
START_SECONDS = 300.0


def run_parallel_search(
    tuner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Runs a whole search; `args` and `kwargs` are those of `fit`."""
    worker.check_no_datasets(args, kwargs)
    workers = count_workers(tuner.executor, tuner.workers)
    server = OracleServer(tuner.proxy.oracle, tuner.host)
    try:
        pack = partial(_pack, tuner, (args, kwargs), server)
        with worker_environment(workers):
            search = ParallelSearch(tuner, server, pack, workers)
            try:
                search.run()
            finally:
                search.close()
    finally:
        server.close()


def _pack(tuner: Any, arguments: Any, server: OracleServer) -> bytes:
    """Serializes the tuner, without the state of this process, and data."""
    folder = _data_folder(tuner)
    oracle = tuner.proxy.oracle
    light = copy.copy(tuner)
    light.oracle = OracleClient(
        server.address,
        server.key,
        objective=oracle.objective,
        max_trials=oracle.max_trials,
        seed=tuner.seed,
    )
    light.proxy = light.checker = light.bar = light.executor = None
    light.stopper = light.folds = None
    light.directory = str(Path(tuner.directory).resolve())
    if tuner.folded is not None:
        light.folded = worker.store_folds(tuner.folded, folder / "folds")
    return worker.pack((light, worker.store_arrays(arguments, folder)))


def _data_folder(tuner: Any) -> Path:
    return Path(tuner.project_dir) / "data"


class ParallelSearch:
    """Keeps all slots busy with trials until the search ends.

    `pack` stores the samples and returns the tuner and its arguments,
    serialized; `workers` is the number of slots.
    """

    def __init__(
        self,
        tuner: Any,
        server: OracleServer,
        pack: Callable[[], bytes],
        workers: int,
    ) -> None:
        self.tuner = tuner
        self.oracle = tuner.proxy.oracle
        self.events = server.events
        self.pack, self.packed = pack, pack()
        self.workers = workers
        self.tasks = isolated_worker if tuner.isolate else worker
        self.is_ours = not isinstance(tuner.executor, Executor)
        self.executor: Executor = (
            tuner.executor() if self.is_ours else tuner.executor
        )
        self.running: dict[str, tuple[Any, Future[Any]]] = {}
        self.suspects: set[str] = set()  # Trials running when a worker died.
        self.is_over = False
        self.fatal: tuple[str, str] | None = None
        self.is_alone = False  # One process, for suspects.

    def run(self) -> None:
        """Runs all trials."""
        self._ping()
        self.tuner.on_search_begin()
        self._fill()
        while self.running:
            self.events.get()()
            self._fill()
        self.tuner.on_search_end()
        if self.fatal is not None:
            raise _fatal_error(*self.fatal)

    def close(self) -> None:
        """Shuts down the pool, unless the caller owns it."""
        if self.is_ours:
            self.executor.shutdown(wait=True, cancel_futures=True)

    def _ping(self) -> None:
        try:
            found = self.executor.submit(self.tasks.ping, self.packed).result(
                START_SECONDS
            )
        except (Exception, LateError) as error:
            raise RuntimeError(
                "No worker process could start and unpickle its task "
                f"({type(error).__name__}: {error}). Remedies: put the "
                'search under `if __name__ == "__main__":`, put `build` into a '
                "module that workers can import, install cloudpickle, or omit "
                "`executor`."
            ) from error
        own = keras.backend.backend()
        if found["backend"] != own:
            raise RuntimeError(
                f"Workers must run Keras on {own!r} as this process does: set "
                f"KERAS_BACKEND={own} where they start. "
                f"Received: {found['backend']!r}"
            )

    def _fill(self) -> None:
        """Starts trials in the free slots."""
        # Trials that may have killed a worker run one at a time.
        slots = 1 if self.suspects else self.workers
        for slot in range(self.workers):
            name = f"slot{slot}"
            if len(self.running) >= slots or self.is_over:
                return
            if name in self.running:
                continue
            self.tuner.pre_create_trial()
            trial = self.oracle.create_trial(name)
            if trial.status == "STOPPED":
                self.is_over = not self.oracle._retry_queue
                return
            if trial.status == "IDLE":
                return
            self._submit(name, trial)

    def _submit(self, slot: str, trial: Any) -> None:
        self.tuner.on_trial_begin(trial)
        if not _data_folder(self.tuner).exists():  # The project was deleted.
            self.packed = self.pack()
        try:
            future = self.executor.submit(
                self.tasks.work, self.packed, trial.get_state()
            )
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self.running[slot] = (trial, future)
        future.add_done_callback(
            lambda done: self.events.put(lambda: self._finish_task(slot, done))
        )

    def _finish_task(self, slot: str, future: Future[Any]) -> None:
        """Ends a trial whose task is done."""
        if slot not in self.running or self.running[slot][1] is not future:
            return
        trial, _ = self.running[slot]
        error = future.exception()
        if error is not None:
            self._handle_death(slot, trial, error)
            return
        del self.running[slot]
        found = future.result()
        self.suspects.discard(trial.trial_id)
        trial.hyperparameters = keras_tuner.HyperParameters.from_config(
            found["hyperparameters"]
        )
        trial.status, trial.message = found["status"], found["message"]
        if found["fatal"] is not None:
            self.fatal, self.is_over = tuple(found["fatal"]), True
        self.tuner.on_trial_end(trial)
        if self.is_alone and not self.suspects:
            self._replace_pool()

    def _handle_death(
        self, slot: str, trial: Any, error: BaseException
    ) -> None:
        """Retries trials whose process died, one at a time; then fails them."""
        if trial.trial_id in self.suspects and len(self.running) == 1:
            del self.running[slot]
            self.suspects.discard(trial.trial_id)
            trial.status = "FAILED"
            trial.message = f"{DIED} {type(error).__name__}: {error}"
            self._replace_broken_pool(error)
            self.tuner.on_trial_end(trial)
            return
        broken = isinstance(error, BrokenExecutor)
        lost = list(self.running.items()) if broken else [(slot, (trial, 0))]
        for name, (one, _) in lost:
            del self.running[name]
            self.suspects.add(one.trial_id)
        self.tuner.proxy.requeue([one.trial_id for _, (one, _) in lost])
        self.is_over = self.fatal is not None
        if broken:
            self._replace_broken_pool(error)

    def _replace_broken_pool(self, error: BaseException) -> None:
        """Replaces a pool that has lost a process and refuses tasks."""
        if not isinstance(error, BrokenExecutor):
            return
        if not self.is_ours:
            raise RuntimeError(
                "The executor broke, and only its owner can replace it. Run "
                "the search again to resume, or pass a function that returns "
                "an executor. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        self._replace_pool()

    def _replace_pool(self) -> None:
        self.executor.shutdown(wait=False, cancel_futures=True)
        factory: Callable[[], Executor] = self.tuner.executor
        self.is_alone = bool(self.suspects) and isinstance(
            factory, LocalProcesses
        )
        self.executor = LocalProcesses(1)() if self.is_alone else factory()


def _fatal_error(name: str, message: str) -> Exception:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return kind(message)
    return RuntimeError(f"{name}: {message}")
