"""What native code prints stays off the screen; what Python prints does not."""

import logging
import os
import sys
import threading

import pytest

from keras_netopt.cost.native_stderr import hide_native_stderr

pytestmark = pytest.mark.no_backend


@pytest.fixture
def stderr(monkeypatch, capfd):
    """A standard error of Python that writes to the descriptor, as usual."""
    with open(2, "w", buffering=1, closefd=False) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        yield capfd


def test_native_lines_are_hidden_and_prints_are_shown(stderr):
    with hide_native_stderr():
        os.write(2, b"native\n")
        print("python", file=sys.stderr)
        print("standard output")
    os.write(2, b"after\n")
    assert stderr.readouterr() == ("standard output\n", "python\nafter\n")


def test_a_log_handler_made_in_a_block_writes_after_it(capfd, monkeypatch):
    with open(2, "w", buffering=1, closefd=False) as stream:
        # Set here: between fixtures and tests pytest sets it anew.
        monkeypatch.setattr(sys, "stderr", stream)
        with hide_native_stderr():
            handler = logging.StreamHandler()
            handler.emit(logging.makeLogRecord({"msg": "within"}))
        handler.emit(logging.makeLogRecord({"msg": "after"}))
        assert capfd.readouterr().err == "within\nafter\n"


def test_a_print_from_before_is_not_hidden(stderr, monkeypatch):
    with open(2, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        stream.write("unfinished ")
        with hide_native_stderr():
            os.write(2, b"native\n")
    assert stderr.readouterr().err == "unfinished "


def test_an_error_holds_the_last_hidden_lines(stderr):
    with pytest.raises(RuntimeError) as caught:
        with hide_native_stderr():
            os.write(2, b"".join(b"line %d\n" % k for k in range(30)))
            raise RuntimeError("refused")
    assert str(caught.value) == "refused"
    (note,) = caught.value.__notes__
    assert note.startswith("Messages of native code:\nline 10\n")
    assert note.endswith("\nline 29")
    assert stderr.readouterr().err == ""


def test_an_error_without_hidden_lines_has_no_note():
    with pytest.raises(RuntimeError) as caught, hide_native_stderr():
        raise RuntimeError("refused")
    assert not hasattr(caught.value, "__notes__")


def test_blocks_nest_and_threads_wait(stderr):
    def write():
        with hide_native_stderr(), hide_native_stderr():
            os.write(2, b"native\n")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"after\n")
    assert stderr.readouterr().err == "after\n"


@pytest.mark.parametrize("stream", [None, object()])
def test_a_standard_error_without_a_file(monkeypatch, capfd, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with hide_native_stderr():
        os.write(2, b"native\n")
        assert sys.stderr is stream
    assert capfd.readouterr().err == ""


def test_no_descriptor_is_left_open():
    before = os.listdir("/proc/self/fd") if os.path.exists("/proc") else []
    with hide_native_stderr():
        pass
    after = os.listdir("/proc/self/fd") if os.path.exists("/proc") else []
    assert len(after) == len(before)
