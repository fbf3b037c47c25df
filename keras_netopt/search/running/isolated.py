"""A trial in a process of its own, started by a worker that lives on."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MAIN = (
    "import pickle, sys\n"
    "path, source, target = pickle.load(sys.stdin.buffer)\n"
    "sys.path[:] = path\n"
    "from keras_netopt.search.running.isolated import run\n"
    "run(source, target)\n"
)


def work(packed: bytes, state: dict[str, Any]) -> dict[str, Any]:
    """Trains a trial as `worker.work` does; its memory goes with the process.

    Workers of dask may be daemons, to which `multiprocessing` gives no
    children.

    Args:
        packed: The tuner and the arguments of `fit`.
        state: Of the trial.

    Raises:
        RuntimeError: If the process dies.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "task"), Path(folder, "answer.json")
        source.write_bytes(pickle.dumps((packed, state)))
        paths = (sys.path, str(source), str(target))
        done = subprocess.run(
            [sys.executable, "-c", MAIN],
            input=pickle.dumps(paths),
            stderr=subprocess.PIPE,
            check=False,
        )
        if not target.exists():
            told = done.stderr.decode(errors="replace")[-1000:]
            raise RuntimeError(
                f"The trial's process ended with {done.returncode}. {told}"
            )
        answer: dict[str, Any] = json.loads(target.read_text())
        return answer


def run(source: str, target: str) -> None:
    """Called in the new process."""
    from keras_netopt.search.running import worker

    packed, state = pickle.loads(Path(source).read_bytes())
    answer = json.dumps(worker.work(packed, state))
    Path(f"{target}.partial").write_text(answer)
    os.replace(f"{target}.partial", target)
