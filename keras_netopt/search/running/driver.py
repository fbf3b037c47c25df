"""The loop of a search whose trials run elsewhere.

One thread owns the oracle: it starts trials, answers the workers' calls and
ends trials. It waits for events and never polls.
"""

import copy
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures import TimeoutError as LateError
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner import errors

from keras_netopt.search.running import isolated, worker
from keras_netopt.search.running.channel import Channel, RemoteOracle
from keras_netopt.search.running.executors import (
    LocalProcesses,
    check_executor,
    environment,
    workers_of,
)

DIED = "The worker process died (out of memory?)."
START_SECONDS = 300.0


def drive(tuner: Any, named: dict[str, Any]) -> None:
    """Runs a whole search.

    Args:
        tuner: A `search.Tuner`.
        named: Arguments of `fit` by name.

    Raises:
        RuntimeError: If no worker starts, or the executor breaks and cannot
            be made again.
        ValueError: If something cannot be pickled.
    """
    check_executor(tuner.executor)
    workers = workers_of(tuner.executor, tuner.workers)
    channel = Channel(tuner.watch.oracle, tuner.host)
    try:
        packed = _pack(tuner, named, channel)
        with environment(workers):
            driver = Driver(tuner, channel, packed, workers)
            try:
                driver.run()
            finally:
                driver.close()
    finally:
        channel.close()


def _pack(tuner: Any, named: dict[str, Any], channel: Channel) -> bytes:
    """The tuner without what belongs to this process, and the data."""
    folder = Path(tuner.project_dir) / "data"
    oracle = tuner.watch.oracle
    light = copy.copy(tuner)
    light.oracle = RemoteOracle(
        channel.address,
        channel.key,
        objective=oracle.objective,
        max_trials=oracle.max_trials,
        seed=tuner.seed,
    )
    light.watch = light.bounds = light.bar = light.executor = None
    light.stopper = light.folds = None
    light.directory = str(Path(tuner.directory).resolve())
    if tuner.folded is not None:
        light.folded = worker.store_folds(tuner.folded, folder / "folds")
    return worker.pack((light, worker.store_arrays(named, folder)))


class Driver:
    """Fills slots with trials until there are no more.

    Args:
        tuner: A `search.Tuner`.
        channel: By which workers reach the oracle.
        packed: What each worker is given.
        workers: Number of slots.
    """

    def __init__(
        self, tuner: Any, channel: Channel, packed: bytes, workers: int
    ) -> None:
        self.tuner = tuner
        self.oracle = tuner.watch.oracle
        self.events = channel.events
        self.packed = packed
        self.workers = workers
        self.tasks = isolated if tuner.isolate else worker
        self.is_ours = not isinstance(tuner.executor, Executor)
        self.executor: Executor = (
            tuner.executor() if self.is_ours else tuner.executor
        )
        self.running: dict[str, tuple[Any, Future[Any]]] = {}
        self.suspects: set[str] = set()  # Were running when a worker died.
        self.is_over = False
        self.fatal: tuple[str, str] | None = None
        self.is_alone = False  # A pool of one, for suspects.

    def run(self) -> None:
        """Returns when the last trial has ended."""
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
        """Ends the pool where it is ours; a caller's is left alone."""
        if self.is_ours:
            self.executor.shutdown(wait=True, cancel_futures=True)

    def _ping(self) -> None:
        try:
            found = self.executor.submit(self.tasks.ping, self.packed).result(
                START_SECONDS
            )
        except (Exception, LateError) as error:
            raise RuntimeError(
                "No worker process could start and unpack its task "
                f"({type(error).__name__}: {error}). Remedies: put `if "
                '__name__ == "__main__":` in front of the search, put `build` '
                "into a module file that workers can import, install "
                "cloudpickle, or leave `executor=` out."
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
        # After a worker has died, those who may have killed it run alone.
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
        try:
            future = self.executor.submit(
                self.tasks.work, self.packed, trial.get_state()
            )
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        self.running[slot] = (trial, future)
        future.add_done_callback(
            lambda done: self.events.put(lambda: self._reap(slot, done))
        )

    def _reap(self, slot: str, future: Future[Any]) -> None:
        """Takes back a trial whose worker has come to its end."""
        if slot not in self.running or self.running[slot][1] is not future:
            return
        trial, _ = self.running[slot]
        error = future.exception()
        if error is not None:
            self._died(slot, trial, error)
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

    def _died(self, slot: str, trial: Any, error: BaseException) -> None:
        """Tries a trial again whose process is gone, alone; then gives up."""
        if trial.trial_id in self.suspects and len(self.running) == 1:
            del self.running[slot]
            self.suspects.discard(trial.trial_id)
            trial.status = "FAILED"
            trial.message = f"{DIED} {type(error).__name__}: {error}"
            self._renew(error)
            self.tuner.on_trial_end(trial)
            return
        broken = isinstance(error, BrokenExecutor)
        lost = list(self.running.items()) if broken else [(slot, (trial, 0))]
        for name, (one, _) in lost:
            del self.running[name]
            self.suspects.add(one.trial_id)
            self.oracle.ongoing_trials.pop(name, None)
            self.oracle._retry_queue.append(one.trial_id)
        self.oracle.save()
        self.is_over = self.fatal is not None
        if broken:
            self._renew(error)

    def _renew(self, error: BaseException) -> None:
        """A pool that has lost a process takes no more tasks."""
        if not isinstance(error, BrokenExecutor):
            return
        if not self.is_ours:
            raise RuntimeError(
                "The executor broke and only its owner can make a new one. "
                "Start the search again to go on; or pass a function that "
                "makes the executor. "
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
