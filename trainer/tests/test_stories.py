"""The story grammar and the filter of the teacher's stories."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambascope_trainer.cli import main
from mambascope_trainer.data.generate import clean_story, repeated_share, same_openings
from mambascope_trainer.data.story_grammar import expand, write_story


@given(st.integers(0, 2**32))
def test_a_story_is_whole_and_plain(seed: int) -> None:
    story = write_story(Random(seed))
    assert not re.search(r"[\[\]|$]|  |\s$", story)
    assert story.isascii()
    assert 90 <= len(story.split()) <= 240
    assert not re.search(r"\ba [aeiou]", story)
    assert clean_story(story) == story or same_openings(story) >= 0.3 or repeated_share(story) >= 0.06


def test_a_character_keeps_its_name_and_pronoun() -> None:
    story = expand(
        "$Name fell. [$He|$He] cried, and $his $toy broke.",
        {"Name": "Mia", "He": "She", "his": "her", "toy": "kite"},
        Random(0),
    )
    assert story == "Mia fell. She cried, and her kite broke."


def test_alternatives_nest_and_all_occur() -> None:
    seen = {expand("[a[1|2]|b]", {}, Random(seed)) for seed in range(64)}
    assert seen == {"a1", "a2", "b"}


def test_an_unknown_slot_is_an_error() -> None:
    with pytest.raises(KeyError):
        expand("$nobody", {}, Random(0))


def test_the_same_seed_writes_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert (
            main(["generate", "--kind", "grammar", "--rows", "20", "--seed", "3", "--out", str(tmp_path / name)]) == 0
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    texts = [json.loads(line)["text"] for line in (tmp_path / "a").read_text().splitlines()]
    assert len(set(texts)) == 20


@pytest.mark.parametrize(
    "text",
    [
        "She was a girl. She was glad. " * 20,  # goes in circles
        "Once there was a dog.",  # too short
        "Title: The Dog\n" + "A dog ran over every hill and saw a river, a cat, and one old boat there. " * 4,
        " ".join(f"word{i}" for i in range(90)),  # no end
        " ".join(f"ein{i} Bär" for i in range(90)) + ".",  # not ASCII
    ],
)
def test_what_is_no_short_story_is_dropped(text: str) -> None:
    assert clean_story(text) is None


def test_fancy_marks_become_plain() -> None:
    words = " ".join(f"w{i}" for i in range(60))
    assert clean_story(f"“{words} isn’t…” \n\n  {words[::-1]}.") == f'"{words} isn\'t..."\n{words[::-1]}.'
