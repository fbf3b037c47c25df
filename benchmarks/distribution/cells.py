"""Trains every component in one way, each in a process of its own.

`python -m benchmarks.distribution.cells BACKEND FOLDER` writes the results of
each kind of distribution and component to FOLDER/KIND/NUMBER_WORKER.npz, or
its error to a .json. The parent has imported Keras and runs nothing, so that
its children start at once. What is in the folder is not run again.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.distribution import distributions, pieces, sources
from benchmarks.distribution.compare import file_of
from benchmarks.distribution.piece import TRAINED

SECONDS = 900  # Of one child.


@dataclass
class Cell:
    """The running children of one component and kind."""

    kind: str
    number: int
    children: set[int]
    begin: float

    def poll(self) -> bool:
        """Whether all children have ended; ends those that are late."""
        is_late = time.monotonic() > self.begin + SECONDS
        for child in list(self.children):
            if is_late:
                os.kill(child, signal.SIGKILL)
            if os.waitpid(child, 0 if is_late else os.WNOHANG)[0]:
                self.children.discard(child)
        return not self.children


def main() -> None:
    """Runs what is missing, several at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backend", choices=("tensorflow", "jax"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", default=list(distributions.KINDS))
    names = [piece.name for piece in pieces.PIECES]
    parser.add_argument("--pieces", nargs="+", default=names, choices=names)
    given = parser.parse_args()
    sources.stamp(given.folder)
    waiting = [
        (kind, number)
        for number, name in enumerate(names)
        for kind in given.kinds
        if name in given.pieces
        and distributions.KINDS[kind][0] == given.backend
        and not _is_done(given.folder, kind, number)
    ]
    running: list[Cell] = []
    while waiting or running:
        while waiting and len(running) < given.jobs:
            running.append(_start(given.folder, *waiting.pop(0)))
        for cell in list(running):
            if cell.poll():
                running.remove(cell)
                _finish(given.folder, cell)
        time.sleep(0.2)


def _is_done(folder: Path, kind: str, number: int) -> bool:
    return all(
        any(
            file_of(folder, kind, number, worker).with_suffix(suffix).exists()
            for suffix in (".npz", ".json")
        )
        for worker in range(distributions.KINDS[kind][1])
    )


def _start(folder: Path, kind: str, number: int) -> Cell:
    workers = distributions.KINDS[kind][1]
    ports = _free_ports(workers)
    children = {
        _fork(kind, number, folder, worker, ports) for worker in range(workers)
    }
    return Cell(kind, number, children, time.monotonic())


def _finish(folder: Path, cell: Cell) -> None:
    for worker in range(distributions.KINDS[cell.kind][1]):
        path = file_of(folder, cell.kind, cell.number, worker)
        if not (
            path.with_suffix(".npz").exists()
            or path.with_suffix(".json").exists()
        ):
            _write_error(path, ChildProcessError("it died"))
    seconds = time.monotonic() - cell.begin
    name = pieces.PIECES[cell.number].name
    print(f"{cell.kind}: {name} {seconds:.0f} s", flush=True)


def _fork(
    kind: str, number: int, folder: Path, worker: int, ports: tuple[int, ...]
) -> int:
    child = os.fork()
    if child:
        return child
    path = file_of(folder, kind, number, worker)
    own = _files_of(path)
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    log = os.open(path.with_suffix(".log"), os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        if len(ports) > 1:
            distributions.join_cluster(worker, ports)
        arrays = distributions.train(kind, pieces.PIECES[number], own)
        with path.with_suffix(".partial").open("wb") as file:
            np.savez(file, **arrays)
        path.with_suffix(".partial").rename(path.with_suffix(".npz"))
    except BaseException as error:
        traceback.print_exc()
        _write_error(path, error)
    # Other workers may still need this one, and threads do not join.
    time.sleep(1.0 if len(ports) > 1 else 0.0)
    os._exit(0)


def _files_of(path: Path) -> Path:
    return path.parent / f"files {path.name}"


def _write_error(path: Path, error: BaseException) -> None:
    content = {
        "error": type(error).__name__,
        "text": str(error),
        TRAINED: (_files_of(path) / TRAINED).exists(),
    }
    path.with_suffix(".json").write_text(json.dumps(content))


def _free_ports(count: int) -> tuple[int, ...]:
    found = [socket.socket() for _ in range(count)]
    for one in found:
        one.bind(("127.0.0.1", 0))
    ports = tuple(one.getsockname()[1] for one in found)
    for one in found:
        one.close()
    return ports


if __name__ == "__main__":
    main()
