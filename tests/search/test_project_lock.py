"""The lock of a project folder, alone; see test_project_folder.py."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keras_netopt import process_identity
from keras_netopt.process_identity import ProcessIdentity
from keras_netopt.search import project_lock
from keras_netopt.search.project_lock import ProjectLock, refuse_running

pytestmark = pytest.mark.no_backend

OWNER = """
import sys, time
from keras_netopt.search.project_lock import ProjectLock
with ProjectLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process, which holds the lock."""
    child = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout.readline() == b"held\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def write_lock(folder, age=0.0, **changes):
    """The lock of this process, but for some changes."""
    path = folder / project_lock.FILE
    content = {"token": "other", **ProcessIdentity.own().to_dict(), **changes}
    path.write_text(json.dumps(content))
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_one_process_at_a_time(tmp_path, owner):
    lock = tmp_path / project_lock.FILE
    before = lock.read_bytes()
    message = f"process {owner.pid} of .* one search in many processes"
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message), ProjectLock(tmp_path):
            pass
    assert "delete" not in str(
        pytest.raises(RuntimeError, refuse_running, tmp_path).value
    )
    assert lock.read_bytes() == before
    owner.send_signal(signal.SIGKILL)
    # The parent has not asked for its end: the process is still listed.
    os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
    with ProjectLock(tmp_path):
        found = json.loads(lock.read_text())
        assert found["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_stopped_keeps_its_lock(tmp_path, owner):
    lock = tmp_path / project_lock.FILE
    owner.send_signal(signal.SIGSTOP)
    os.utime(lock, (0, 0))
    with pytest.raises(RuntimeError, match=f"process {owner.pid}"):
        refuse_running(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "elsewhere"},
        {"machine": "another start, or a container"},
        {"host": "elsewhere", "pid": 1 << 30},
        {"host": "", "pid": "?"},
    ],
)
def test_a_process_that_cannot_be_seen_has_a_minute(tmp_path, changes):
    lock = write_lock(tmp_path, age=50.0, **changes)
    with pytest.raises(RuntimeError) as raised:
        refuse_running(tmp_path)
    for part in (f"delete {lock}, or wait", str(tmp_path), "project_name"):
        assert part in str(raised.value)
    write_lock(tmp_path, age=70.0, **changes)
    with ProjectLock(tmp_path):
        assert json.loads(lock.read_text())["token"] != "other"


def test_a_torn_lock_counts_by_its_age(tmp_path, monkeypatch):
    monkeypatch.setattr(project_lock, "PAUSES", ())
    lock = write_lock(tmp_path)
    lock.write_text('{"tok')
    with pytest.raises(RuntimeError, match="whose lock cannot be read"):
        refuse_running(tmp_path)
    os.utime(lock, (0, 0))
    with ProjectLock(tmp_path):
        assert json.loads(lock.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    "changes", [{"pid": os.getppid(), "started": "1"}, {"started": "1"}, {}]
)
def test_a_number_of_a_process_is_used_again(tmp_path, changes):
    """Its process is alive, but has started later; or is this one."""
    write_lock(tmp_path, **changes)
    with ProjectLock(tmp_path):
        pass


def test_a_lock_of_this_process_is_judged_without_the_system(
    tmp_path, monkeypatch
):
    """Only Linux tells when a process has started."""
    monkeypatch.setattr(process_identity, "_read_status", lambda pid: None)
    write_lock(tmp_path)
    with ProjectLock(tmp_path), pytest.raises(RuntimeError):
        refuse_running(tmp_path)


def test_the_owner_shows_signs_of_life(tmp_path):
    lock = tmp_path / project_lock.FILE
    with ProjectLock(tmp_path) as held:
        os.utime(lock, (0, 0))
        held.show_life()
        assert lock.stat().st_mtime
        write_lock(tmp_path)
        os.utime(lock, (0, 0))
        held.show_life()
        assert not lock.stat().st_mtime  # Not its own.
    assert lock.exists()


def test_signs_of_life_come_again_and_again_until_the_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(project_lock, "HEARTBEAT", 0.0)
    beats = threading.Semaphore(0)
    monkeypatch.setattr(ProjectLock, "show_life", lambda _: beats.release())
    before = threading.active_count()
    with ProjectLock(tmp_path):
        for _ in range(3):
            assert beats.acquire(timeout=60)
    assert threading.active_count() == before


@pytest.mark.parametrize("failures", [1, 2])
def test_a_lock_that_cannot_be_read_once_is_kept(
    tmp_path, monkeypatch, failures
):
    monkeypatch.setattr(project_lock, "PAUSES", (0.0, 0.0))
    read, left = Path.read_text, []

    def fail_at_first(path, **arguments):
        if left and path.name == project_lock.FILE:
            raise left.pop()
        return read(path, **arguments)

    monkeypatch.setattr(Path, "read_text", fail_at_first)
    lock = tmp_path / project_lock.FILE
    with ProjectLock(tmp_path) as held:
        before = lock.read_bytes()
        left[:] = [OSError(errno.ESTALE, "Stale file handle")] * failures
        assert held.keep() and not left and lock.read_bytes() == before
        left[:] = [OSError(errno.EIO, "Input/output error")] * 3
        with pytest.raises(RuntimeError, match="whose lock cannot be read"):
            held.keep()
    assert not lock.exists()


def test_what_dead_processes_have_left_is_swept(tmp_path):
    def leave(name, age=0.0, **changes):
        lock = write_lock(tmp_path, age, **changes)
        return lock.rename(tmp_path / f"partial-{name}-{lock.name}")

    leave("dead", pid=1 << 30)
    leave("own")
    leave("silent", age=70.0, host="elsewhere")
    (tmp_path / f"partial-torn-{project_lock.FILE}").touch()
    os.utime(tmp_path / f"partial-torn-{project_lock.FILE}", (0, 0))
    kept = [
        leave("alive", pid=os.getppid(), started=""),
        leave("unknown", age=50.0, host="elsewhere"),
        tmp_path / "partial-results.txt",
    ]
    kept[-1].touch()
    with ProjectLock(tmp_path):
        pass
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_lost_lock_is_made_again_but_never_taken_from_another(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    with ProjectLock(folder) as held:
        assert held.keep()
        (folder / project_lock.FILE).unlink()
        folder.rmdir()
        assert not held.keep() and held.keep()
        lock = write_lock(folder)
        with pytest.raises(RuntimeError, match="This search must end"):
            held.keep()
    assert json.loads(lock.read_text())["token"] == "other"


def race(folder, count=6):
    """Takes the lock in many threads at once; returns how many have it."""
    start, end = (threading.Barrier(count, timeout=30) for _ in range(2))
    winners = []

    def take():
        start.wait()
        try:
            with ProjectLock(folder) as lock:
                winners.append(lock)
                end.wait()
        except RuntimeError:
            end.wait()

    threads = [threading.Thread(target=take) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(winners)


def test_one_of_many_takes_over_an_abandoned_lock(tmp_path):
    for _ in range(20):
        write_lock(tmp_path, pid=1 << 30)
        assert race(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
