"""Tasks in a subprocess of a long-lived worker.

Dask's workers may be daemons, which `multiprocessing` allows no children.
"""

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
    "from keras_netopt.search.running.isolated_worker import run\n"
    "run(source, target)\n"
)


def ping(packed: bytes) -> dict[str, Any]:
    """Checks that a process starts and can unpickle its task."""
    return _call("ping", packed)


def work(packed: bytes, state: dict[str, Any]) -> dict[str, Any]:
    """Trains a trial as `worker.work` does, in a subprocess."""
    return _call("work", packed, state)


def run(source: str, target: str) -> None:
    """Called in the subprocess."""
    from keras_netopt.search.running import worker

    name, arguments = pickle.loads(Path(source).read_bytes())
    answer = json.dumps(getattr(worker, name)(*arguments))
    Path(f"{target}.partial").write_text(answer)
    os.replace(f"{target}.partial", target)


def _call(name: str, *arguments: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "task"), Path(folder, "answer.json")
        source.write_bytes(pickle.dumps((name, arguments)))
        paths = (sys.path, str(source), str(target))
        done = subprocess.run(
            [sys.executable, "-c", MAIN],
            input=pickle.dumps(paths),
            stderr=subprocess.PIPE,
            check=False,
        )
        stderr = done.stderr.decode(errors="replace")
        if not target.exists():
            raise RuntimeError(
                f"The process ended with {done.returncode}. {stderr[-1000:]}"
            )
        sys.stderr.write(stderr)
        answer: dict[str, Any] = json.loads(target.read_text())
        return answer
