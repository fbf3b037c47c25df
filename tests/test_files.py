"""Files are whole or absent, and unreadable ones are named."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from small_disk import error_number, small_disk

from keras_netopt import files

pytestmark = pytest.mark.no_backend

DEAD = """
import os, sys
from keras_netopt.files import write_aside
with write_aside(sys.argv[1]) as partial:
    with open(partial, "w") as file:
        file.write("half")
        file.flush()
        os._exit(9)
"""


def write(path, text, **options):
    with files.write_aside(path, **options) as partial:
        with open(partial, "w") as file:
            file.write(text)
        return partial


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_written_and_replaced(tmp_path, sync):
    path = tmp_path / "a.keras"
    partial = write(path, "one", sync=sync)
    assert partial.endswith(".keras")
    assert os.path.dirname(partial) == str(tmp_path)
    write(str(path), "two", sync=sync)
    assert path.read_text() == "two"
    assert os.listdir(tmp_path) == ["a.keras"]


def test_a_reader_sees_the_old_file_until_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.write_aside(path) as partial:
        with open(partial, "w") as file:
            file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_reader_in_the_middle_goes_on_in_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as reader:
        write(path, "new")
        assert reader.read() == "old"


def test_a_folder_that_vanishes_is_named_by_the_path(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    path.parent.mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        with files.write_aside(path) as partial:
            path.parent.rmdir()
            open(partial, "w")
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_file(tmp_path, kind):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(kind), files.write_aside(path) as partial:
        with open(partial, "w") as file:
            file.write("half")
        raise kind
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "a.txt"
        write(path, "old")
        with pytest.raises(OSError) as caught:
            write(path, "x" * 4_000_000)
        assert path.read_text() == "old"
        assert caught.value.errno == error_number()
        assert caught.value.__notes__ == [f"The file '{path}' is as it was."]
        assert os.listdir(disk) == ["a.txt"]


def test_a_killed_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", DEAD, str(path)], check=False)
    assert done.returncode == 9
    left = [name for name in os.listdir(tmp_path) if name != "a.txt"]
    assert len(left) == 1
    assert path.read_text() == "old"
    write(tmp_path / "b.txt", "another file of the folder")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


def test_only_partial_files_without_a_writer_are_removed(tmp_path):
    """Of this process, a living one, another host, and long ago."""
    with files.write_aside(tmp_path / "a.txt") as partial:
        open(partial, "w").close()
        parts = os.path.basename(partial).split("-")
        kept = ["partial.keras", ".partial-notes", os.path.basename(partial)]
        gone = []
        for host, process, age, names in (
            (parts[1], str(os.getppid()), 0, kept),
            ("0" * 8, parts[2], 0, kept),
            ("0" * 8, parts[2], 2 * files.ABANDONED, gone),
            (parts[1], str(os.getpid()), 0, gone),
        ):
            tag = f"{len(kept) + len(gone):012x}"
            names.append(f".partial-{host}-{process}-{tag}-a.txt")
            left = tmp_path / names[-1]
            left.touch()
            os.utime(left, (time.time() - age,) * 2)
        for name in kept[:2]:
            (tmp_path / name).touch()
        files._remove_abandoned.cache_clear()
        write(tmp_path / "b.txt", "")
        assert sorted(os.listdir(tmp_path)) == sorted([*kept, "b.txt"])


def test_links_and_permissions_stay(tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_long_name_is_written(tmp_path):
    name = "n" * 240 + ".weights.h5"
    assert write(tmp_path / name, "").endswith(".weights.h5")
    assert os.listdir(tmp_path) == [name]


def test_a_path_with_a_scheme_is_left_to_its_writer():
    with files.write_aside("gs://bucket/best.keras") as partial:
        assert partial == "gs://bucket/best.keras"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("gone/a.txt", FileNotFoundError, "There is no folder '{}/gone'"),
        (".", IsADirectoryError, "This is a folder. Pass the name of a file"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path, name, kind, message):
    path = tmp_path / name
    with pytest.raises(kind) as caught:
        write(path, "")
    assert message.format(tmp_path) in str(caught.value)
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("is_read_only", ["file", "folder"])
def test_read_only_files_and_folders_are_refused(is_read_only):
    """Root may write them: an ordinary user tries it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.txt")
        path.write_text("old")
        path.chmod(0o444 if is_read_only == "file" else 0o666)
        os.chmod(folder, 0o777 if is_read_only == "file" else 0o555)
        with ordinary_user(), pytest.raises(PermissionError) as caught:
            write(path, "new")
        assert "read-only" in str(caught.value)
        assert caught.value.filename == str(path)
        assert path.read_text() == "old"
        os.chmod(folder, 0o777)


@contextlib.contextmanager
def ordinary_user():
    """Drops the rights of root, where the tests run as root."""
    before = os.getresuid()
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(*before)


def write_folder(folder, content):
    with files.write_folder_aside(folder, "index.json") as scratch:
        for name in ("index.json", "a.bin", "z.bin"):
            Path(scratch, name).write_text(f"{content} {name}")


def test_a_folder_is_written_and_replaced(tmp_path):
    folder = tmp_path / "page"
    write_folder(folder, "old")
    (folder / "mine.txt").write_text("mine")
    write_folder(folder, "new")
    found = {one.name: one.read_text() for one in folder.iterdir()}
    assert found == {
        "index.json": "new index.json",
        "a.bin": "new a.bin",
        "z.bin": "new z.bin",
        "mine.txt": "mine",
    }
    assert os.listdir(tmp_path) == ["page"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    folder = tmp_path / "page"
    write_folder(folder, "old")
    with pytest.raises(ValueError):
        with files.write_folder_aside(folder, "index.json") as scratch:
            Path(scratch, "a.bin").write_text("half")
            raise ValueError
    assert (folder / "a.bin").read_text() == "old a.bin"
    assert (folder / "index.json").exists()
    assert os.listdir(tmp_path) == ["page"]


def test_a_folder_that_is_half_replaced_has_no_index(tmp_path, monkeypatch):
    folder = tmp_path / "page"
    write_folder(folder, "old")
    replace = os.replace

    def kill_at_the_second(source, target):
        if os.path.basename(target) == "z.bin":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", kill_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write_folder(folder, "new")
    assert sorted(os.listdir(folder)) == ["a.bin", "z.bin"]


def test_a_folder_that_is_half_replaced_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "page"
    write_folder(folder, "old")
    (folder / "z.bin").unlink()
    (folder / "z.bin").mkdir()
    with pytest.raises(OSError) as caught:
        write_folder(folder, "new")
    assert "is incomplete: export again" in caught.value.__notes__[0]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    code = "import sys; sys.stdout.write(open(sys.argv[1]).read())"
    for number in range(2):
        reader = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE
        )
        if number:
            (tmp_path / "new").write_text("text")
            files.put_in_place(tmp_path / "new", path)
        else:
            assert write(path, "text") == str(path)
        assert reader.communicate(timeout=60)[0] == b"text"
    assert path.is_fifo()


def test_hosts_with_one_name_are_told_apart(monkeypatch):
    """Containers number their processes anew."""
    files._host.cache_clear()
    own = files._host()
    monkeypatch.setattr(files, "read_machine", lambda: "another namespace")
    files._host.cache_clear()
    assert files._host() != own
    files._host.cache_clear()


def test_an_empty_memory_is_no_unreadable_file(tmp_path):
    with pytest.raises(MemoryError):
        with files.name_unreadable(tmp_path, "a table", "Write it again."):
            raise MemoryError


def test_a_folder_in_no_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        write_folder(tmp_path / "gone" / "page", "new")


@pytest.mark.parametrize(
    "kind", [OSError, ValueError, KeyError, EOFError, RuntimeError, TypeError]
)
def test_an_unreadable_file_is_named(tmp_path, kind):
    path = tmp_path / "a.json"
    path.touch()
    with pytest.raises(ValueError) as caught:
        with files.name_unreadable(path, "a table", "Write it again."):
            raise kind("torn")
    text = str(caught.value)
    assert text.startswith("The file cannot be read as a table: ")
    assert kind.__name__ in text and "torn" in text
    assert text.endswith(f"Received: path='{path}'. Write it again.")


def test_a_file_that_is_gone_is_named(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(FileNotFoundError) as caught:
        with files.name_unreadable(path, "a table", "Write it again."):
            path.read_text()
    assert caught.value.filename == str(path)
    assert "which should hold a table. Write it again." in str(caught.value)
