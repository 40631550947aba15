"""WikiText's tokenised form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambascope_trainer.data.tokenised_form import tokenised


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# The Title", " = The Title = \n"),
        ("### Early life ###", " = = = Early life = = = \n"),
        ("A guest-starring role, in 2000.", " A guest @-@ starring role , in 2000 . \n"),
        ("1,000.5 miles (3.2 km)", " 1 @,@ 000 @.@ 5 miles ( 3 @.@ 2 km ) \n"),
        ("“You don’t know Teddy’s story…”", " \" You don 't know Teddy 's story … \" \n"),
        ("Mr. Smith of the U.S. army said: no!", " Mr. Smith of the U.S. army said : no ! \n"),
        ("one\n\ntwo", " one \n \n two \n"),
        ("a state-of-the-art 2000–2005 idea", " a state @-@ of @-@ the @-@ art 2000 – 2005 idea \n"),
    ],
)
def test_the_form(text: str, expected: str) -> None:
    assert tokenised(text) == expected


def test_rare_words_become_unknown() -> None:
    assert tokenised("Zyx met a zyx-like 42.", lambda w: w.lower() == "zyx") == " <unk> met a <unk> @-@ like 42 . \n"


@given(st.text("ab'\"-., \n#1é", max_size=40))
def test_no_letter_or_digit_is_lost(text: str) -> None:
    assert [c for c in tokenised(text) if c.isalnum()] == [c for c in text if c.isalnum()]
    assert tokenised(text).count("\n") == text.count("\n") + 1
