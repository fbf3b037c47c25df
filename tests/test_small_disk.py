"""What the small disks of other tests are, with and without a mount."""

import errno
import resource
import shutil

import pytest
import small_disk as disks

pytestmark = pytest.mark.no_backend

PART = bytes(disks.BYTES * 2 // 3)


def test_a_file_system_is_full_by_the_sum_of_its_files(tmp_path):
    if not disks.can_mount():
        pytest.skip("This process may not mount a file system.")
    with disks.small_disk(tmp_path / "disk") as disk:
        (disk / "a").write_bytes(PART)
        with pytest.raises(OSError) as caught:
            (disk / "b").write_bytes(PART)
        assert caught.value.errno == errno.ENOSPC == disks.error_number()
        (disk / "b").unlink()
        disks.fill(disk, leave=8192)
        assert shutil.disk_usage(disk).free == 8192
    assert not (tmp_path / "disk").is_mount()


def test_a_limit_on_files_stands_in_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "can_mount", lambda: False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with disks.small_disk(tmp_path / "disk") as disk:
        for name in "ab":  # Their sum is not limited.
            (disk / name).write_bytes(PART)
        disks.fill(disk, leave=8192)
        assert shutil.disk_usage(disk).free == 8192
        with pytest.raises(OSError) as caught:
            (disk / "c").write_bytes(PART)
        assert caught.value.errno == errno.EFBIG == disks.error_number()
        assert (disk / "c").stat().st_size == 8192
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
    assert shutil.disk_usage(tmp_path).total > disks.BYTES
