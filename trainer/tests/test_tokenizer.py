"""The converted tokenizer against the tokenizers package's own, in Python and in the browser's package."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import SPECIALS, TEXT, trained_tokenizer, write_gguf
from tokenizers import Tokenizer

from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.importers.gguf import GgufFile, open_source
from mambascope_trainer.importers.gguf_tokenizer import dump, tokenizer_config, tokenizer_json

REPOSITORY = Path(__file__).parents[2]
TRAINED = trained_tokenizer()

texts = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from([*SPECIALS, *TEXT, "12345", " \n\n ", "don't", "é", "🙂"])),
    max_size=6,
).map("".join)


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path)
    return GgufFile(open_source(path).data).metadata


@pytest.fixture(scope="module")
def converted(metadata: dict[str, object]) -> Tokenizer:
    return Tokenizer.from_str(dump(tokenizer_json(metadata)).decode())


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_ids_and_text_are_those_of_the_tokenizer_that_was_exported(converted: Tokenizer, text: str) -> None:
    ids = converted.encode(text).ids
    assert ids == TRAINED.encode(text).ids
    assert converted.decode(ids, skip_special_tokens=False) == text


def test_digits_are_single_tokens_and_specials_are_whole(converted: Tokenizer) -> None:
    encoded = converted.encode("<|im_start|>2048<|im_end|>")
    assert encoded.tokens == ["<|im_start|>", "2", "0", "4", "8", "<|im_end|>"]
    assert converted.decode(encoded.ids) == "2048"


def test_config(metadata: dict[str, object]) -> None:
    config = tokenizer_config(metadata)
    assert (config["bos_token"], config["eos_token"], config["pad_token"]) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    assert config["chat_template"] == "{{ messages[0]['content'] }}"
    assert config["model_max_length"] == 128


@pytest.mark.parametrize("change", [{"tokenizer.ggml.model": "llama"}, {"tokenizer.ggml.pre": "qwen2"}])
def test_other_tokenizers_are_refused(metadata: dict[str, object], change: dict[str, str]) -> None:
    with pytest.raises(MambascopeError, match=next(iter(change.values()))):
        tokenizer_json({**metadata, **change})


SCRIPT = """
import { Tokenizer } from "@huggingface/tokenizers";
import { readFileSync } from "node:fs";
const { tokenizer, config, texts } = JSON.parse(readFileSync(0, "utf8"));
const model = new Tokenizer(tokenizer, config);
console.log(JSON.stringify(texts.map((text) => model.encode(text, { add_special_tokens: false }).ids)));
"""

BROWSER_TEXTS = [
    *TEXT[:1],
    "<|im_start|>user\nWhat is 12 + 345?<|im_end|>\n<|im_start|>assistant\n",
    "naïve café — “Ça va?” 你好，世界！ 🙂👩‍👩‍👧 Ελληνικά русский עברית العربية हिन्दी ไทย",
    "  leading, trailing  \n\n\n\ttabs\t\t and   runs  ",
    "I'll we've they'd it's don't I'm you're 'tis 'LL",
    'x=3.14159; y = f(x[0]) -> {"a": [1, 2, 3]} // 0xFF 1e-5 ²³ ½ ٣٤',
    "\u00a0non\u2003breaking\u200bspace\r\nline\u2028sep \ufeff e\u0301 \U0001d54f",
    "<|endoftext|><|im_end|>a<|im_start|> <|im_start",
    "",
]


def browser_ids(document: dict[str, object], config: dict[str, object], strings: list[str]) -> list[list[int]]:
    node = shutil.which("node")
    if node is None or not (REPOSITORY / "node_modules/@huggingface/tokenizers").is_dir():
        pytest.skip("needs Node and the installed packages of the page")
    payload = json.dumps({"tokenizer": document, "config": config, "texts": strings})
    command = [node, "--input-type=module", "-e", SCRIPT]
    done = subprocess.run(command, input=payload, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    ids: list[list[int]] = json.loads(done.stdout)
    return ids


def random_texts(count: int) -> list[str]:
    """Characters of many scripts and categories, with blanks, digits and special tokens between them."""
    rng = random.Random(5)
    ranges = [(32, 127), (9, 14), (0xA0, 0x17F), (0x370, 0x52F), (0x600, 0x6FF), (0x900, 0x97F), (0x2000, 0x2070),
              (0x2150, 0x2190), (0x3040, 0x30FF), (0x4E00, 0x4E80), (0x1F600, 0x1F64F), (0x1D7CE, 0x1D7FF)]  # fmt: skip

    def piece() -> str:
        if rng.random() < 0.1:
            return rng.choice([*SPECIALS, "  ", "\n\n", "'s", "'LL"])
        return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(1, 5)))

    return ["".join(piece() for _ in range(rng.randrange(1, 12))) for _ in range(count)]


def test_the_browsers_package_gives_the_same_ids(metadata: dict[str, object], converted: Tokenizer) -> None:
    strings = [*BROWSER_TEXTS, *TEXT, *random_texts(1000)]
    expected = [converted.encode(text).ids for text in strings]
    assert browser_ids(tokenizer_json(metadata), tokenizer_config(metadata), strings) == expected


@pytest.mark.smollm2
def test_smollm2_in_the_browsers_package(smollm2: Path) -> None:
    peer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    document = json.loads((smollm2 / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((smollm2 / "tokenizer_config.json").read_text(encoding="utf-8"))
    for text in BROWSER_TEXTS:
        assert peer.decode(peer.encode(text).ids, skip_special_tokens=False) == text
    strings = [*BROWSER_TEXTS, *random_texts(1000)]
    expected = [peer.encode(text).ids for text in strings]
    assert browser_ids(document, config, strings) == expected
