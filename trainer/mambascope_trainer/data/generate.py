"""Make training data with the teacher: rows of chats and plain text, or stories as text."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer

from ..model.llama import Llama
from .answers import Sampling
from .chat import ChatFormat
from .documents import documents, files_of, paragraphs, pieces
from .errors import DataError
from .near_duplicates import RowFilter
from .prompts import story_request
from .sampler import Sampler
from .story_grammar import write_story
from .tokens import write_shard


@dataclass(frozen=True)
class RowsRequest:
    """What rows to sample: `rows` of `length` tokens, `batch` together, `text_share` of them plain text, others chats.

    question: how the users' turns are drawn; none: as the assistant's.
    A share `opened_share` of the texts starts with one of `openings`, if there are any, the others with nothing.
    """

    rows: int
    length: int
    batch: int
    seed: int
    text_share: float = 0.35
    text: Sampling = field(default_factory=lambda: Sampling((0.9, 0.9)))
    chat: Sampling = field(default_factory=Sampling)
    question: Sampling | None = None
    openings: tuple[list[int], ...] = ()
    opened_share: float = 1.0


def generate_rows(model: Llama, chat: ChatFormat, out: Path, request: RowsRequest) -> dict[str, int]:
    """Write request.rows rows, rounded up to whole batches, less those that repeat themselves or another.

    Returns the numbers of rows and tokens, and of rows dropped.
    """
    batch, texts = request.batch, round(request.batch * request.text_share)
    markers = None if texts == batch else chat.markers
    sampler = Sampler(model, batch, request.length, markers, request.seed)
    random, passing = Random(request.seed), RowFilter([] if markers is None else [chat.opening, markers.to_new])
    counts = {"rows": 0, "tokens": 0, "dropped": 0}
    started = time.perf_counter()
    for number in range(-(-request.rows // batch)):
        prompts = [_opening(request, chat, random) for _ in range(texts)]
        if texts < batch:  # a teacher without a chat template can still write texts
            prompts += [chat.opening] * (batch - texts)
        plain = request.text.temperatures(texts, random)
        temperatures = plain + request.chat.temperatures(batch - texts, random)
        users = None if request.question is None else plain + request.question.temperatures(batch - texts, random)
        sampled = sampler.sample(prompts, temperatures, users=users).cpu().numpy()
        kept = sampled[passing.keep(sampled)]
        if len(kept):
            write_shard(out, f"{request.seed:03d}-{number:03d}", kept)
        counts["rows"] += len(kept)
        counts["tokens"] += kept.size
        counts["dropped"] += len(sampled) - len(kept)
        rate = round(counts["tokens"] / (time.perf_counter() - started))
        print(json.dumps({"phase": "generate", **counts, "tokens_per_second": rate}), flush=True)
    return counts


def _opening(request: RowsRequest, chat: ChatFormat, random: Random) -> list[int]:
    """What a plain text starts with: the end of the text before it, and, or not, the first words of another."""
    if request.openings and random.random() < request.opened_share:
        return [chat.end_of_text, *random.choice(request.openings)]
    return [chat.end_of_text]


def read_openings(
    path: Path, chat: ChatFormat, seed: int, limit: int = 100_000, tokens: tuple[int, int] = (8, 64)
) -> list[list[int]]:
    """The first 8 to 64 tokens of paragraphs of a file's texts, at most `limit` of them.

    A prefix is cut at a random place, so that the teacher continues sentences and words alike. Raises DataError if
    there is no text to take them from.
    """
    random, found = Random(seed), []
    for file in files_of(path):
        for piece in pieces(file, "paragraph"):
            for document in documents(piece):
                for paragraph in paragraphs(document.text):
                    ids = chat.encode(paragraph.strip()[: 8 * tokens[1]])
                    if len(ids) > tokens[0]:
                        found.append(ids[: random.randint(*tokens)])
                if len(found) >= limit:
                    return found
    if not found:
        raise DataError(f"{path} holds no text of more than {tokens[0]} tokens", "Name a file with more text.")
    return found


def generate_stories(
    model: Llama, tokenizer: Tokenizer, out: Path, rows: int, length: int, batch: int, seed: int
) -> int:
    """Sample stories of at most `length` tokens (prompt included): one JSON line each that passes `clean_story`.

    Returns their number.
    """
    end = _end_of_turn(tokenizer)
    sampler = Sampler(
        model, batch, length, None, seed, min_p=0.1, penalised=content_words(tokenizer).to(model.norm.weight.device)
    )
    random, kept, started = Random(seed), 0, time.perf_counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        for number in range(-(-rows // batch)):
            prompts = [tokenizer.encode(story_request(random), add_special_tokens=False).ids for _ in range(batch)]
            sampled = sampler.sample(prompts, [0.8] * batch, stop=end)
            for story in _stories(sampled, prompts, end, tokenizer):
                file.write(json.dumps({"text": story}) + "\n")
                kept += 1
            seconds = time.perf_counter() - started
            print(
                json.dumps({"phase": "stories", "batch": number, "kept": kept, "seconds": round(seconds, 1)}),
                flush=True,
            )
    return kept


def write_grammar_pairs(out: Path, count: int, seed: int) -> None:
    """`count` preference pairs: the beginning of a grammar story, its own end, and rejected the end of another."""
    random = Random(seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        for _ in range(count):
            (opening, end), (_, other) = (_halves(write_story(random)) for _ in range(2))
            file.write(json.dumps({"prompt": opening, "chosen": end, "rejected": other}) + "\n")


def _halves(story: str) -> tuple[str, str]:
    """A story cut after a sentence in its middle; the second half keeps the space before it."""
    sentences = re.split(r"(?<=[.!?])(?=\s)", story)
    middle = len(sentences) // 2
    return "".join(sentences[:middle]), "".join(sentences[middle:])


def write_grammar_stories(out: Path, count: int, seed: int) -> None:
    """`count` stories of the grammar (see `story_grammar`), one JSON line each."""
    random = Random(seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": write_story(random)}) + "\n" for _ in range(count))


def _end_of_turn(tokenizer: Tokenizer) -> int:
    found: int | None = tokenizer.token_to_id("<|im_end|>")
    if found is None:
        raise DataError("the teacher's tokenizer has no <|im_end|>", "Name a teacher that was tuned for chats.")
    return found


def _stories(rows: torch.Tensor, prompts: list[list[int]], end: int, tokenizer: Tokenizer) -> Iterator[str]:
    for row, prompt in zip(rows.tolist(), prompts, strict=True):
        answer = row[len(prompt) :]
        finished = end in answer
        text = tokenizer.decode(answer[: answer.index(end)] if finished else answer, skip_special_tokens=True)
        if not finished:  # cut after the last whole sentence
            text = text[: max(text.rfind(mark) for mark in (". ", '." ', '!" ', "! ", ".\n")) + 2]
        story = clean_story(text)
        if story is not None:
            yield story


def content_words(tokenizer: Tokenizer) -> torch.Tensor:
    """(V,) bool: tokens that begin a lower-case word of four letters or more. A small teacher repeats them in circles;
    names, short words and punctuation must be free to recur."""
    texts = (tokenizer.id_to_token(i) or "" for i in range(tokenizer.get_vocab_size()))
    return torch.tensor([t.startswith("Ġ") and len(t) > 4 and t[1:].isalpha() and t[1:].islower() for t in texts])


def clean_story(text: str) -> str | None:
    """Plain quotes and dashes; None for what is not a short story in plain ASCII prose, or goes in circles."""
    for fancy, plain in (("“", '"'), ("”", '"'), ("’", "'"), ("‘", "'"), ("—", " - "), ("–", "-"), ("…", "...")):
        text = text.replace(fancy, plain)
    text = "\n".join(line.strip() for line in text.strip().splitlines() if line.strip())
    if not text.isascii() or any(mark in text for mark in ("**", "#", "http", "1.", "<", "Title:", "[", "{")):
        return None
    fits = 50 <= len(text.split()) <= 320 and text[-1] in '.!?"'
    return text if fits and repeated_share(text) < 0.06 and same_openings(text) < 0.3 else None


def repeated_share(text: str) -> float:
    """Share of the four-word runs of a text that occurred in it before: how much it goes in circles."""
    words = text.lower().split()
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def same_openings(text: str) -> float:
    """Share of the sentences that open with the commonest two words ("She was …")."""
    openings = [" ".join(sentence.split()[:2]) for sentence in re.split(r"[.!?]\W+", text) if sentence]
    return max(openings.count(opening) for opening in openings) / len(openings) if len(openings) > 3 else 0.0
