from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mambascope_trainer.bundle.safetensors import read_entries, read_range, write_atomic, write_safetensors
from mambascope_trainer.errors import MambascopeError

TENSORS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.arange(5, dtype=np.float16),
    "c": np.arange(32, dtype=np.uint8).reshape(2, 16),
}


def test_the_safetensors_package_reads_what_is_written(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x.safetensors", TENSORS)
    loaded = safetensors.numpy.load_file(tmp_path / "x.safetensors")
    assert loaded.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


def test_what_the_package_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(TENSORS, path, metadata={"by": "peer"})
    for name, entry in read_entries(path).items():
        np.testing.assert_array_equal(read_range(path, entry.dtype, entry.shape, entry.begin, entry.end), TENSORS[name])


def test_entries_are_aligned_and_bytes_are_repeatable(tmp_path: Path) -> None:
    first = write_safetensors(tmp_path / "x.safetensors", TENSORS)
    second = write_safetensors(tmp_path / "y.safetensors", TENSORS)
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()
    assert first == second
    assert min(entry.begin for entry in first.entries.values()) % 64 == 0
    for entry in first.entries.values():
        assert entry.begin % {"F32": 4, "F16": 2, "U8": 16}[entry.dtype] == 0
    assert first.entries == read_entries(tmp_path / "x.safetensors")


@pytest.mark.parametrize("cut", [0, 5, 60, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(MambascopeError) as caught:
        read_entries(path)
    assert caught.value.code == "safetensors-corrupt"


@pytest.mark.parametrize(
    ("old", "new"), [(b'"shape":[5]', b'"shape":[4]'), (b'"F16"', b'"F64"'), (b"[56,66]", b"[54,64]"), (b"{", b"[")]
)
def test_a_wrong_header_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, TENSORS)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(MambascopeError) as caught:
        read_entries(path)
    assert caught.value.code == "safetensors-corrupt"


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    write_atomic(path, [b"old"])
    with pytest.raises(MambascopeError) as caught:
        write_atomic(path, [b"new"], expected_sha256="0" * 64)
    assert caught.value.code == "checksum-mismatch"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
