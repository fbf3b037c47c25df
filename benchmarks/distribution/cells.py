"""Trains every component in one way, each in a process of its own.

`python -m benchmarks.distribution.cells KIND FOLDER [PIECE ...]` writes
FOLDER/KIND/NUMBER.npz, or NUMBER.txt with the error. The parent has imported
Keras and runs nothing, so that its children start at once.
"""

import argparse
import os
import signal
import socket
import time
import traceback
from pathlib import Path

import numpy as np

from benchmarks.distribution import distributions, pieces

SECONDS = 240  # Of one child.


def file_of(folder: Path, kind: str, number: int, worker: int = 0) -> Path:
    """Returns where the results of a component are, without suffix."""
    return folder / kind.replace(" ", "_") / f"{number}_{worker}"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=distributions.KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    for number, piece in enumerate(pieces.PIECES):
        folder = file_of(given.folder, given.kind, number).parent
        if any(folder.glob(f"{number}_0.*")) or (
            given.names and piece.name not in given.names
        ):
            continue
        _run(given.kind, number, given.folder)


def _run(kind: str, number: int, folder: Path) -> None:
    workers = distributions.KINDS[kind][1]
    ports = _free_ports(workers)
    begin = time.monotonic()
    children = [
        _fork(kind, number, folder, worker, ports) for worker in range(workers)
    ]
    late = _wait(children, begin + SECONDS)
    for worker in range(workers):
        path = file_of(folder, kind, number, worker)
        if late and not path.with_suffix(".npz").exists():
            path.with_suffix(".txt").write_text("TimeoutError: killed")
    seconds = time.monotonic() - begin
    print(f"{kind}: {pieces.PIECES[number].name} {seconds:.0f} s", flush=True)


def _wait(children: list[int], end: float) -> bool:
    """Waits for all; ends those that are late. Whether one was."""
    running = set(children)
    while running and time.monotonic() < end:
        for child in list(running):
            if os.waitpid(child, os.WNOHANG)[0]:
                running.discard(child)
        time.sleep(0.05)
    for child in running:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return bool(running)


def _fork(
    kind: str, number: int, folder: Path, worker: int, ports: tuple[int, ...]
) -> int:
    child = os.fork()
    if child:
        return child
    path = file_of(folder, kind, number, worker)
    own = path.parent / f"files {path.name}"
    own.mkdir(parents=True, exist_ok=True)
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
        path.with_suffix(".txt").write_text(f"{type(error).__name__}: {error}")
    # Other workers may still need this one, and threads do not join.
    time.sleep(1.0 if len(ports) > 1 else 0.0)
    os._exit(0)


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
