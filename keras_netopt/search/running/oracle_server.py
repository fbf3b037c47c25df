"""The oracle for trials in other processes: JSON over a socket."""

import json
import queue
import secrets
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

Address = tuple[str, int]


class OracleServer:
    """Listens on an address for the calls of workers and queues them.

    KerasTuner's oracles must be called from one thread: the thread that reads
    the queue executes the calls.
    """

    def __init__(self, oracle: Any, host: str) -> None:
        self.oracle = oracle
        self.events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.key = secrets.token_bytes(32)
        self._listener = Listener((host, 0), authkey=self.key)
        self.address: Address = self._listener.address
        self._is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._is_open = False
        self._listener.close()

    def _accept(self) -> None:
        while self._is_open:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError, AuthenticationError):
                continue  # Closed, or a client without the key.
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection: Connection) -> None:
        answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        while True:
            try:
                call = json.loads(connection.recv_bytes())
            except (OSError, EOFError):
                return
            self.events.put(partial(self._put_answer, call, answers))
            try:
                connection.send_bytes(answers.get())
            except OSError:
                return

    def _put_answer(
        self, call: dict[str, Any], answers: queue.SimpleQueue[bytes]
    ) -> None:
        answers.put(self._answer(call))

    def _answer(self, call: dict[str, Any]) -> bytes:
        try:
            answer = {"ok": _CALLS[call["name"]](self.oracle, *call["args"])}
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        return json.dumps(answer).encode()


def _update_trial(oracle: Any, trial_id: str, metrics: Any, step: int) -> Any:
    trial = oracle.update_trial(trial_id, metrics, step=step)
    return {**trial.get_state(), "status": trial.status}


def _update_space(oracle: Any, config: Any) -> None:
    space = keras_tuner.HyperParameters.from_config(config)
    oracle.update_space(space)


_CALLS: dict[str, Callable[..., Any]] = {
    "get_space": lambda oracle: oracle.get_space().get_config(),
    "update_space": _update_space,
    "update_trial": _update_trial,
    "get_trial": lambda oracle, name: oracle.get_trial(name).get_state(),
    "get_best_trials": lambda oracle, n: [
        trial.get_state() for trial in oracle.get_best_trials(n)
    ],
}


class OracleClient:
    """The oracle of a worker process; forwards calls to `OracleServer`."""

    def __init__(
        self,
        address: Address,
        key: bytes,
        *,
        objective: Any,
        max_trials: int | None,
        seed: int,
    ) -> None:
        self.objective = objective
        self.max_trials = max_trials
        self.seed = seed
        self.multi_worker, self.should_report = False, True
        self.verbose = 0
        self._address, self._key = address, key
        self._connection: Connection | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_connection": None}

    def get_space(self) -> Any:
        """Returns the search space."""
        return keras_tuner.HyperParameters.from_config(self._call("get_space"))

    def update_space(self, hyperparameters: Any) -> None:
        """Adds hyperparameters to the search space."""
        self._call("update_space", hyperparameters.get_config())

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Trial:
        """Reports metrics; the status "STOPPED" ends the training."""
        plain = {name: float(value) for name, value in metrics.items()}
        return Trial.from_state(
            self._call("update_trial", trial_id, plain, int(step))
        )

    def get_trial(self, trial_id: str) -> Trial:
        """Returns a trial."""
        return Trial.from_state(self._call("get_trial", trial_id))

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Returns the best trials."""
        found = self._call("get_best_trials", num_trials)
        return [Trial.from_state(state) for state in found]

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(self, name: str, *args: Any) -> Any:
        if self._connection is None:
            self._connection = Client(self._address, authkey=self._key)
        call = json.dumps({"name": name, "args": args}).encode()
        self._connection.send_bytes(call)
        answer = json.loads(self._connection.recv_bytes())
        if "error" in answer:
            raise RuntimeError(f"{answer['error']}: {answer['message']}")
        return answer["ok"]
