import hashlib
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from samples import ARCHITECTURE, MIXER, mixer_tensors, write_gguf

from mambascope_trainer.bundle import Bundle, BundleWriter
from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.importers.gguf import GgufFile, open_source
from mambascope_trainer.importers.gguf_llama import bundle_name
from mambascope_trainer.importers.import_gguf import Titles, import_gguf, restore_base
from mambascope_trainer.progress import Progress

QUIET = Progress(None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path)
    return path


@pytest.fixture(scope="module")
def imported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "tiny"
    import_gguf(model, "tiny", folder, Titles(title="Tiny"), QUIET)
    return folder


def code_of(action: Any) -> str:
    with pytest.raises(MambascopeError) as caught:
        action()
    assert caught.value.action
    return caught.value.code


def peer_values(path: Path) -> dict[str, np.ndarray]:
    """Dequantised by the `gguf` package."""
    reader = gguf.GGUFReader(path)
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
        for tensor in reader.tensors
    }


def test_architecture_and_special_tokens(imported: Path) -> None:
    manifest = Bundle.open(imported).manifest
    assert manifest.architecture == ARCHITECTURE
    assert manifest.special_tokens.to_json() == {"bos": None, "eos": [2, 0], "pad": 2}
    assert manifest.variants["teacher"].layers == ("attention",) * ARCHITECTURE.num_hidden_layers
    assert manifest.origin == {"kind": "imported", "source": "tiny.gguf"}


def test_every_value_is_what_the_peer_reads(model: Path, imported: Path) -> None:
    bundle, peer = Bundle.open(imported), peer_values(model)
    assert {bundle_name(name) for name in peer} == set(bundle.manifest.tensors)
    for name, values in peer.items():
        ours = bundle.tensor(bundle_name(name))
        if "attn_q" in name or "attn_k" in name:
            # Row 2i of a head becomes row i, row 2i+1 becomes row i + head_dim/2.
            heads = values.reshape(-1, ARCHITECTURE.head_dim, values.shape[1])
            values = np.concatenate([heads[:, 0::2], heads[:, 1::2]], axis=1).reshape(values.shape)
        np.testing.assert_array_equal(ours, values)


def test_codecs_are_kept(imported: Path) -> None:
    tensors = Bundle.open(imported).manifest.tensors
    names = {
        "self_attn.q": "q4_1",
        "self_attn.k": "q4_0",
        "self_attn.v": "f16",
        "self_attn.o": "f32",
        "mlp.down": "q8_0",
    }
    assert {name: tensors[f"model.layers.0.{name}_proj.weight"].codec for name in names} == names


def test_half_split_rotation_of_imported_rows_gives_the_interleaved_scores(model: Path, imported: Path) -> None:
    peer, bundle, dim = peer_values(model), Bundle.open(imported), ARCHITECTURE.head_dim
    u = np.random.default_rng(0).normal(size=(2, ARCHITECTURE.hidden_size))
    angles = np.outer([3, 11], ARCHITECTURE.rope_theta ** (-np.arange(0, dim, 2) / dim))
    turn = np.exp(1j * angles)

    def score(q: np.ndarray, k: np.ndarray) -> float:
        """Complex pairs rotated by position 3 and 11, then the real inner product."""
        return float((q * turn[0] * np.conj(k * turn[1])).real.sum())

    interleaved = [u[i] @ peer[f"blk.0.attn_{n}.weight"][:dim].T.astype(np.float64) for i, n in enumerate("qk")]
    split = [u[i] @ bundle.tensor(f"model.layers.0.self_attn.{n}_proj.weight")[:dim].T for i, n in enumerate("qk")]
    half = dim // 2
    expected = score(*(x[0::2] + 1j * x[1::2] for x in interleaved))
    assert score(*(x[:half] + 1j * x[half:] for x in split)) == pytest.approx(expected, rel=1e-9)


def test_restoring_a_shipped_base_is_byte_identical(model: Path, imported: Path, tmp_path: Path) -> None:
    shipped, home = tmp_path / "shipped", tmp_path / "home"
    writer = BundleWriter.open(shipped, [imported])
    writer.add_mixer_set("half", MIXER, [1], mixer_tensors([1]))
    files = restore_base(model, shipped / "manifest.json", home, QUIET)
    assert files == sorted(path.name for path in home.iterdir())
    assert "manifest.json" not in files
    for name in files:
        assert (home / name).read_bytes() == (imported / name).read_bytes()
    assert Bundle.open([shipped, home]).tensor("model.norm.weight").shape == (ARCHITECTURE.hidden_size,)


def test_a_wheel_gives_its_origin_and_is_checked(model: Path, imported: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "llm_tiny-0.3.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("llm_tiny/__init__.py", "")
        archive.write(model, "llm_tiny/tiny.gguf")
    manifest = import_gguf(wheel, "tiny", tmp_path / "a", Titles(), QUIET)
    assert manifest.origin == {
        "kind": "gguf-package",
        "package": "llm-tiny",
        "version": "0.3.1",
        "file": "llm_tiny/tiny.gguf",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    }
    assert manifest.tensors == Bundle.open(imported).manifest.tensors
    shipped = tmp_path / "a" / "manifest.json"
    assert restore_base(wheel, shipped, tmp_path / "b", QUIET)
    other = tmp_path / "other.gguf"
    content = bytearray(model.read_bytes())
    content[-40] ^= 1
    other.write_bytes(content)
    assert code_of(lambda: restore_base(other, shipped, tmp_path / "c", QUIET)) == "checksum-mismatch"
    assert not (tmp_path / "c").exists()


def test_a_file_that_comes_out_different_is_not_kept(model: Path, imported: Path, tmp_path: Path) -> None:
    document = json.loads((imported / "manifest.json").read_text(encoding="utf-8"))
    shard = next(name for name in document["files"] if name.startswith("base-"))
    document["files"][shard]["sha256"] = "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    assert code_of(lambda: restore_base(model, tmp_path / "manifest.json", tmp_path / "home", QUIET)) == (
        "checksum-mismatch"
    )
    assert not (tmp_path / "home" / shard).exists()


def test_importing_again_keeps_mixers(model: Path, tmp_path: Path) -> None:
    import_gguf(model, "tiny", tmp_path, Titles(), QUIET)
    BundleWriter.open(tmp_path).add_mixer_set("half", MIXER, [1], mixer_tensors([1]))
    import_gguf(model, "tiny", tmp_path, Titles(), QUIET)
    assert Bundle.open(tmp_path).tensor("model.layers.1.mamba.D", "half").shape == (4,)
    assert code_of(lambda: import_gguf(model, "other", tmp_path, Titles(), QUIET)) == "family-exists"


def test_other_architectures_and_types_are_refused_by_name(tmp_path: Path) -> None:
    write_gguf(tmp_path / "qwen.gguf", architecture="qwen2")
    with pytest.raises(MambascopeError, match="qwen2"):
        import_gguf(tmp_path / "qwen.gguf", "x", tmp_path / "out", Titles(), QUIET)
    write_gguf(tmp_path / "q5.gguf", gate=gguf.GGMLQuantizationType.Q5_0)
    with pytest.raises(MambascopeError, match=r"ffn_gate.*Q5_0") as caught:
        import_gguf(tmp_path / "q5.gguf", "x", tmp_path / "out", Titles(), QUIET)
    assert caught.value.code == "gguf-type"
    assert "Q4_1" in caught.value.action
    assert not (tmp_path / "out").exists()


def test_damage_is_told_apart(model: Path, tmp_path: Path) -> None:
    content = model.read_bytes()

    def parse(data: bytes) -> Any:
        return lambda: GgufFile(memoryview(data))

    assert code_of(parse(b"GGML" + content[4:])) == "gguf-magic"
    assert code_of(parse(b"")) == "gguf-magic"
    assert code_of(parse(content[:4] + struct.pack("<I", 1) + content[8:])) == "gguf-version"
    for length in (6, 20, 100, 2000, len(content) - 2000):
        assert code_of(parse(content[:length])) == "gguf-corrupt"
    assert code_of(lambda: open_source(tmp_path / "none.gguf")) == "source-missing"
    (tmp_path / "empty.gguf").touch()
    assert code_of(lambda: open_source(tmp_path / "empty.gguf")) == "gguf-corrupt"
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    assert code_of(lambda: open_source(tmp_path / "x.whl")) == "wheel-invalid"


def test_version_2_is_read(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[4:8] = struct.pack("<I", 2)
    assert GgufFile(memoryview(content)).version == 2
