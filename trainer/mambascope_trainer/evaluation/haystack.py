"""Needle-in-a-haystack prompts: neutral filler, one sentence to remember, and the question at the end.

The test of RULER (arXiv 2404.06654, section 3), with filler from a small grammar, so that any length can be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from .chat import Chat

NeedleKind = Literal["number", "word"]

_PEOPLE = (
    "The gardener,A visitor,The teacher,The old captain,My neighbour,The librarian,A traveller,The baker,"
    "The young doctor,A painter,The driver,The shopkeeper"
).split(",")
_ACTS = (
    "walked along,looked across,wrote about,talked about,painted,remembered,passed by,waited near,"
    "took a photograph of,asked about,sat beside,read about"
).split(",")
_PLACES = (
    "the quiet river,the stone bridge,the market square,the green hills,the small harbour,the railway station,"
    "the school garden,the long road to the coast,the wooden gate,the lake,the town hall,the apple orchard"
).split(",")
_TIMES = (
    "in the morning,after lunch,before the rain came,while the bells rang,on a calm evening,as the wind rose,"
    "late in the summer,at the end of the week,when the light was soft,during the holidays"
).split(",")
_ADDITIONS = (
    ";, and nobody was in a hurry;, which took most of the day;, as people often do there;, and then went home;"
    ", but there was little to see; and enjoyed the silence"
).split(";")
_OWNERS = ("Oslo", "Lima", "Cairo", "Delhi", "Rome", "Quito", "Dublin", "Seoul", "Tunis", "Bern")
_WORDS = (
    "lantern,compass,velvet,walnut,marble,thunder,saddle,copper,ribbon,falcon,pepper,anchor,violin,cactus,meadow,tunnel"
).split(",")


@dataclass(frozen=True)
class Haystack:
    """One trial: the prompt up to where the needle must come (at most the length asked for), and the needle."""

    prompt: tuple[int, ...]
    needle: tuple[int, ...]
    answer: str
    length: int
    depth: float


def filler_sentence(random: Random) -> str:
    """A neutral sentence that holds no number and none of the needles."""
    parts = (_PEOPLE, _ACTS, _PLACES, _TIMES)
    return " ".join(random.choice(part) for part in parts) + random.choice(_ADDITIONS) + "."


def make_haystack(chat: Chat, length: int, depth: float, kind: NeedleKind, seed: int) -> Haystack:
    """The trial of a seed: its prompt has at most `length` tokens and is short of it by less than a sentence.

    depth 0 puts the needle first, 1 last. Raises ValueError if the length leaves no room for the question.
    """
    random = Random(f"{seed}/{kind}")
    owner = random.choice(_OWNERS)
    answer = str(random.randint(10_000, 99_999)) if kind == "number" else random.choice(_WORDS)
    sentences: list[str] = []
    size = len(chat.ids(_render(chat, kind, owner, answer, [], depth)))
    if size > length:
        raise ValueError(f"a needle prompt needs at least {size} tokens, not {length}")
    # Sentences are counted alone: joined ones never take more tokens than that with the space before them.
    while size < length:
        sentences.append(filler_sentence(random))
        size += len(chat.ids(" " + sentences[-1]))
    prompt = chat.ids(_render(chat, kind, owner, answer, sentences, depth))
    while len(prompt) > length:
        sentences.pop()
        prompt = chat.ids(_render(chat, kind, owner, answer, sentences, depth))
    whole = chat.ids(_render(chat, kind, owner, answer, sentences, depth) + f" {answer}")
    return Haystack(tuple(prompt), tuple(whole[len(prompt) :]), answer, length, depth)


def _render(chat: Chat, kind: NeedleKind, owner: str, answer: str, sentences: list[str], depth: float) -> str:
    """The chat up to the needle in the answer: the answer's words before it are given, only the needle is missing."""
    subject = f"special magic {kind} for {owner}"
    text = list(sentences)
    text.insert(round(depth * len(text)), f"The {subject} is {answer}.")
    question = f"What is the {subject}, according to the text above?"
    user = f"Read this text. There is one special magic {kind} in it: remember it.\n\n{' '.join(text)}\n\n{question}"
    if not chat.has_template:
        user += "\n"
    return chat.text([{"role": "user", "content": user}]) + f"The {subject} is"
