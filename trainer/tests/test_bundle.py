import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ARCHITECTURE, MIXER, mixer_tensors, random_tensors, write_bundle

import mambascope_trainer
from mambascope_trainer.bundle import Bundle, BundleWriter, Storage, decode, encode
from mambascope_trainer.bundle.manifest import format_manifest, parse_manifest
from mambascope_trainer.bundle.shards import MAX_SHARD_BYTES, plan_shards
from mambascope_trainer.bundle.verify import verify_bundle
from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.progress import Progress

SCHEMAS = Path(mambascope_trainer.__file__).parent / "schemas"
HYBRID = ["attention", "mamba2:half", "attention"]


def code_of(action: Any) -> str:
    with pytest.raises(MambascopeError) as caught:
        action()
    return caught.value.code


@pytest.mark.parametrize("codec", ["f32", "f16", "q8_0", "q4_0", "q4_1"])
def test_what_is_written_is_read_back_as_the_codec_says(tmp_path: Path, codec: str) -> None:
    storage = Storage(matrix=codec, embedding="q8_0")
    write_bundle(tmp_path, storage)
    bundle = Bundle.open(tmp_path)
    originals = random_tensors(ARCHITECTURE.tensor_shapes(), np.random.default_rng(0))
    assert bundle.manifest.tensors.keys() == originals.keys()
    for name, values in originals.items():
        chosen = storage.codec(name, values.shape)
        assert bundle.manifest.tensors[name].codec == chosen
        np.testing.assert_array_equal(bundle.tensor(name), decode(encode(values, chosen)))
    assert bundle.manifest.tensors["model.layers.0.mlp.up_proj.weight"].codec == codec
    assert verify_bundle(bundle, Progress(None)) == []


def test_a_set_in_a_second_folder_shares_the_base_of_the_first(tmp_path: Path) -> None:
    shipped, home = tmp_path / "shipped", tmp_path / "home"
    write_bundle(shipped)
    before = {path.name: path.read_bytes() for path in shipped.iterdir()}
    writer = BundleWriter.open(home, [shipped])
    tensors = mixer_tensors([1])
    override = "model.layers.1.mlp.up_proj.weight"
    tensors[override] = np.ones(ARCHITECTURE.tensor_shapes()[override], np.float32)
    writer.add_mixer_set("half", MIXER, [1], tensors, Storage(matrix="f32"), {"steps": 5})
    writer.add_variant("half", "Half", HYBRID)

    assert {path.name: path.read_bytes() for path in shipped.iterdir()} == before
    bundle = Bundle.open([home, shipped])
    assert bundle.variant("half").layers == tuple(HYBRID)
    assert bundle.manifest.mixer_sets["half"].training == {"steps": 5}
    np.testing.assert_array_equal(bundle.tensor("model.layers.1.mamba.D", "half"), tensors["model.layers.1.mamba.D"])
    assert (bundle.tensor(override, "half") == 1).all()
    assert not (bundle.tensor(override) == 1).all()
    assert bundle.path("tokenizer.json") == shipped / "tokenizer.json"
    assert verify_bundle(bundle, Progress(None)) == []
    assert {fault.kind for fault in verify_bundle(Bundle.open(home), Progress(None))} == {"missing"}


def test_a_set_is_replaced_only_on_request(tmp_path: Path) -> None:
    writer = write_bundle(tmp_path)
    writer.add_mixer_set("half", MIXER, [1, 2], mixer_tensors([1, 2]))
    assert code_of(lambda: writer.add_mixer_set("half", MIXER, [1], mixer_tensors([1]))) == "mixer-set-exists"
    writer.add_mixer_set("half", MIXER, [1], mixer_tensors([1], seed=9), replace_existing=True)
    bundle = Bundle.open(tmp_path)
    assert bundle.manifest.mixer_sets["half"].layers == (1,)
    np.testing.assert_array_equal(
        bundle.tensor("model.layers.1.mamba.dt_bias", "half"),
        mixer_tensors([1], seed=9)["model.layers.1.mamba.dt_bias"],
    )
    assert verify_bundle(bundle, Progress(None)) == []


def test_export_is_repeatable(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = write_bundle(tmp_path / name)
        writer.add_mixer_set("half", MIXER, [1], mixer_tensors([1]))
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_tensors_that_do_not_fit_leave_the_manifest_as_it_was(tmp_path: Path) -> None:
    writer = write_bundle(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    missing = mixer_tensors([1])
    del missing["model.layers.1.mamba.A_log"]
    assert code_of(lambda: writer.add_mixer_set("half", MIXER, [1], missing)) == "manifest-invalid"
    assert code_of(lambda: writer.add_mixer_set("half", {**MIXER, "gate": False}, [1], mixer_tensors([1]))) == (
        "manifest-invalid"
    )
    assert code_of(lambda: writer.add_variant("half", "Half", HYBRID)) == "manifest-invalid"
    assert code_of(lambda: writer.add_variant("half", "Half", ["attention", "mamba9:x", "attention"])) == "layer-name"
    assert (tmp_path / "manifest.json").read_bytes() == before


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 20 * 2**20), min_size=1, max_size=40))
def test_shards_keep_order_and_size(sizes: list[int]) -> None:
    named = {f"t{index}": size for index, size in enumerate(sizes)}
    shards = plan_shards("base", named)
    assert [name for shard in shards for name in shard.tensors] == list(named)
    for index, shard in enumerate(shards, start=1):
        assert shard.file == f"base-{index:05d}-of-{len(shards):05d}.safetensors"
        assert len(shard.tensors) == 1 or sum(named[name] for name in shard.tensors) < MAX_SHARD_BYTES


def test_shards_on_disk_stay_below_16_mib(tmp_path: Path) -> None:
    writer = write_bundle(tmp_path)
    wide = {**MIXER, "state_size": 8192}
    tensors = {name: np.zeros_like(values) for name, values in mixer_tensors([0, 1], wide).items()}
    writer.add_mixer_set("wide", wide, [0, 1], tensors, Storage(matrix="f32"))
    files = [info for name, info in writer.manifest.files.items() if name.startswith("mixers-wide-")]
    assert len(files) > 1
    assert all(info.bytes < 16 * 2**20 for info in files)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bundle")
    writer = write_bundle(folder)
    writer.add_mixer_set("half", MIXER, [1], mixer_tensors([1]))
    writer.add_variant("half", "Half", HYBRID)
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    assert format_manifest(parse_manifest(json.loads(text))) == text
    return text


def test_the_manifest_fits_the_schema_of_the_page(document: str) -> None:
    schema = json.loads((SCHEMAS / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(document), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(document), "version": 2}, schema)


NORM = "model.norm.weight"
BREAKS: dict[str, Any] = {
    "version": lambda m: m.update(version=2),
    "unknown field": lambda m: m.update(extra=1),
    "missing field": lambda m: m.pop("license"),
    "bool for int": lambda m: m["architecture"].update(hidden_size=True),
    "shape": lambda m: m["architecture"].update(hidden_size=128),
    "heads": lambda m: m["architecture"].update(num_key_value_heads=3),
    "missing tensor": lambda m: m["base"]["tensors"].pop(NORM),
    "unknown codec": lambda m: m["base"]["tensors"][NORM].update(codec="q2"),
    "range size": lambda m: m["base"]["tensors"][NORM]["parts"].update(data=[0, 8]),
    "range beyond file": lambda m: m["base"]["tensors"][NORM]["parts"].update(data=[2**40, 2**40 + 256]),
    "unlisted file": lambda m: m["base"]["tensors"][NORM].update(file="other.safetensors"),
    "path in file": lambda m: m["files"].update({"../x": {"bytes": 1, "sha256": "0" * 64}}),
    "checksum form": lambda m: m["files"]["tokenizer.json"].update(sha256="ABC"),
    "no tokenizer": lambda m: m["files"].pop("tokenizer.json"),
    "origin kind": lambda m: m["base"].update(origin={"kind": "elsewhere"}),
    "mixer kind": lambda m: m["mixer_sets"]["half"].update(mixer="rwkv"),
    "mixer config": lambda m: m["mixer_sets"]["half"]["config"].update(form="other"),
    "set layers": lambda m: m["mixer_sets"]["half"].update(layers=[7]),
    "variant length": lambda m: m["variants"]["half"]["layers"].pop(),
    "variant set": lambda m: m["variants"]["half"].update(layers=["mamba2:half", "attention", "attention"]),
}


@pytest.mark.parametrize("name", list(BREAKS))
def test_a_manifest_that_does_not_agree_is_refused(document: str, name: str) -> None:
    manifest = json.loads(document)
    parse_manifest(manifest)
    BREAKS[name](manifest)
    with pytest.raises(MambascopeError) as caught:
        parse_manifest(manifest)
    assert caught.value.code == "manifest-invalid"
    assert caught.value.action


def test_verify_names_each_fault(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    shard = next(tmp_path.glob("base-*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    (tmp_path / "tokenizer.json").unlink()
    faults = verify_bundle(Bundle.open(tmp_path), Progress(None))
    assert {(fault.kind, fault.file) for fault in faults} == {("damaged", shard.name), ("missing", "tokenizer.json")}


def test_what_is_missing_has_a_name(tmp_path: Path) -> None:
    assert code_of(lambda: Bundle.open(tmp_path)) == "manifest-missing"
    write_bundle(tmp_path)
    bundle = Bundle.open(tmp_path)
    assert code_of(lambda: bundle.variant("x")) == "variant-missing"
    assert code_of(lambda: bundle.tensor("x")) == "tensor-missing"
    assert code_of(lambda: bundle.tensor("model.norm.weight", "x")) == "mixer-set-missing"
    next(tmp_path.glob("base-*.safetensors")).unlink()
    assert code_of(lambda: bundle.tensor("model.norm.weight")) == "file-missing"
