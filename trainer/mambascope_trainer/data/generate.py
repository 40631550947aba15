"""Make training data with the teacher: rows of chats and plain text, or stories as text."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer

from ..model.llama import Llama
from .chat import TurnMarkers
from .prompts import CHAT, TEXT, story_request
from .sampler import Sampler
from .story_grammar import write_story
from .tokens import DataError, write_rows


def generate_rows(
    model: Llama, tokenizer: Tokenizer, out: Path, rows: int, length: int, batch: int, seed: int, text_share: float
) -> dict[str, float]:
    """Sample `rows` rows of `length` tokens: `text_share` of them plain text, the others chats.

    Returns tokens and seconds.
    """
    ids = {name: tokenizer.encode(name, add_special_tokens=False).ids for name in (CHAT, TEXT)}
    markers = TurnMarkers(
        end_of_turn=_end_of_turn(tokenizer),
        to_assistant=tokenizer.encode("\n<|im_start|>assistant\n", add_special_tokens=False).ids,
        to_user=tokenizer.encode("\n<|im_start|>user\n", add_special_tokens=False).ids,
        to_new=tokenizer.encode("\n" + CHAT, add_special_tokens=False).ids,
    )
    sampler = Sampler(model, batch, length, markers, seed)
    texts = round(batch * text_share)
    prompts = [ids[TEXT]] * texts + [ids[CHAT]] * (batch - texts)
    temperatures = [0.9] * texts + [0.8] * (batch - texts)
    recipe = {
        "kind": "chat and text", "text_share": text_share, "temperature": {"text": 0.9, "chat": 0.8}, "length": length,
        "seeds": "the shard names", "sampler": "ancestral",
    }  # fmt: skip
    started, made = time.perf_counter(), 0
    for number in range(-(-rows // batch)):
        sampled = sampler.sample(prompts, temperatures).cpu().numpy()
        write_rows(out, f"{seed:03d}-{number:03d}", sampled, recipe)
        made += sampled.size
        seconds = time.perf_counter() - started
        print(json.dumps({"phase": "generate", "tokens": made, "tokens_per_second": round(made / seconds)}), flush=True)
    return {"tokens": made, "seconds": time.perf_counter() - started}


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
