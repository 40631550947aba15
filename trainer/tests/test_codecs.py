import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mambascope_trainer.bundle.codecs import EncodedTensor, decode, encode, pack_nibbles, unpack_nibbles
from mambascope_trainer.errors import MambascopeError

QUANTISED = ["q8_0", "q4_0", "q4_1"]

shapes = st.tuples(st.integers(1, 4), st.integers(1, 4).map(lambda blocks: 32 * blocks))
matrices = shapes.flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=st.floats(-1000, 1000, width=32, allow_subnormal=False))
)


def blocks_of(values: np.ndarray) -> np.ndarray:
    return values.reshape(values.shape[0], -1, 32)


def slow_decode(tensor: EncodedTensor) -> np.ndarray:
    """The contract's table, element by element."""
    rows, columns = tensor.shape
    values = np.empty(tensor.shape, np.float32)
    for row in range(rows):
        for column in range(columns):
            block, element = divmod(column, 32)
            scale = np.float32(tensor.parts["scale"][row, block])
            if tensor.codec == "q8_0":
                values[row, column] = scale * np.float32(int(tensor.parts["q"][row, column]) - 128)
                continue
            byte = int(tensor.parts["q"][row, block, element // 2])
            q = byte >> 4 if element % 2 else byte & 15
            if tensor.codec == "q4_0":
                values[row, column] = scale * np.float32(q - 8)
            else:
                values[row, column] = scale * np.float32(q) + np.float32(tensor.parts["min"][row, block])
    return values


@pytest.mark.parametrize("codec", QUANTISED)
@settings(max_examples=25, deadline=None)
@given(values=matrices)
def test_decoding_follows_the_contract_bit_for_bit(codec: str, values: np.ndarray) -> None:
    tensor = encode(values, codec)
    np.testing.assert_array_equal(decode(tensor), slow_decode(tensor))


@pytest.mark.parametrize("codec", QUANTISED)
@settings(max_examples=50, deadline=None)
@given(values=matrices)
def test_errors_stay_below_a_step_of_the_blocks_range(codec: str, values: np.ndarray) -> None:
    blocks, decoded = blocks_of(values), blocks_of(decode(encode(values, codec)))
    largest = np.abs(blocks).max(axis=-1)
    span = blocks.max(axis=-1) - blocks.min(axis=-1)
    step = {"q8_0": largest / 127, "q4_0": largest / 8, "q4_1": span / 15}[codec]
    rounding = largest * 2**-10 + 1e-6  # of float16 scales and minima
    mean_square = ((blocks - decoded) ** 2).mean(axis=-1)
    # Rounding with the plain range leaves at most half a step an element; q4_0 clips its ends to less than a step.
    worst = step * (1 if codec == "q4_0" else 0.5) + rounding
    assert (np.sqrt(mean_square) <= worst).all()


@pytest.mark.parametrize("codec", ["f32", "f16", "q8_0", "q4_0"])
@settings(max_examples=50, deadline=None)
@given(
    levels=hnp.arrays(np.int32, (3, 32), elements=st.integers(-127, 127)),
    scales=hnp.arrays(np.float16, (3, 1), elements=st.floats(2**-10, 60, width=16)),
)
def test_values_on_a_codecs_grid_stay_as_they_are(codec: str, levels: np.ndarray, scales: np.ndarray) -> None:
    """Training through a codec (levels whose largest magnitude is the codec's end) exports without another loss."""
    end = {"q8_0": 127, "q4_0": 8}.get(codec, 1)
    levels = np.clip(levels, 1 - end, end - 1)
    levels[:, 5] = -end
    values = scales.astype(np.float32) * levels.astype(np.float32)
    np.testing.assert_array_equal(decode(encode(values, codec)), values)


@pytest.mark.parametrize(("codec", "kind"), [("q4_0", "Q4_0"), ("q4_1", "Q4_1")])
def test_the_search_beats_plain_rounding(codec: str, kind: str) -> None:
    values = np.random.default_rng(3).normal(size=(64, 256)).astype(np.float32)
    peer = gguf.GGMLQuantizationType[kind]
    plain = gguf.quants.dequantize(gguf.quants.quantize(values, peer), peer)
    ours = decode(encode(values, codec))
    assert ((ours - values) ** 2).mean() < 0.93 * ((plain - values) ** 2).mean()
    block_errors = (blocks_of(ours - values) ** 2).sum(-1) - (blocks_of(plain - values) ** 2).sum(-1)
    assert block_errors.max() < 1e-3


@pytest.mark.parametrize("codec", ["q4_0", "q4_1"])
def test_importance_moves_the_error_to_what_matters_less(codec: str) -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(128, 64)).astype(np.float32)
    importance = rng.uniform(size=64).astype(np.float32) ** 4
    weighted, plain = decode(encode(values, codec, importance)), decode(encode(values, codec))
    assert (importance * (weighted - values) ** 2).sum() < 0.9 * (importance * (plain - values) ** 2).sum()


@given(hnp.arrays(np.uint8, (3, 2, 32), elements=st.integers(0, 15)))
def test_nibbles_pack_as_pairs_of_neighbours(q: np.ndarray) -> None:
    packed = pack_nibbles(q)
    assert packed[1, 1, 5] == q[1, 1, 10] + 16 * q[1, 1, 11]
    np.testing.assert_array_equal(unpack_nibbles(packed), q)


@pytest.mark.parametrize("codec", QUANTISED)
def test_zero_and_constant_blocks(codec: str) -> None:
    values = np.stack([np.zeros(32), np.full(32, 0.5), np.full(32, -3.0)]).astype(np.float32)
    decoded = decode(encode(values, codec))
    np.testing.assert_allclose(decoded, values, atol=2e-3)
    assert (decoded[0] == 0).all()


@pytest.mark.parametrize(
    ("values", "codec", "code"),
    [
        (np.zeros((2, 33)), "q4_0", "codec-shape"),
        (np.zeros(32), "q8_0", "codec-shape"),
        (np.full((1, 32), np.nan), "f32", "codec-not-finite"),
        (np.full((1, 32), 1e6), "f16", "codec-not-finite"),
        (np.full((1, 32), 1e9), "q4_1", "codec-not-finite"),
        (np.zeros((1, 32)), "q5_0", "codec-unknown"),
    ],
)
def test_what_cannot_be_encoded_is_refused(values: np.ndarray, codec: str, code: str) -> None:
    with pytest.raises(MambascopeError) as caught:
        encode(values, codec)
    assert caught.value.code == code


def test_parts_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(MambascopeError, match="parts"):
        EncodedTensor("q8_0", (2, 32), {"q": np.zeros((2, 32), np.uint8), "scale": np.zeros((2, 2), np.float16)})
