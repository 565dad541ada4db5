"""Characters that nobody sees: which they are, and what is refused where."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.characters import HIDDEN_IN_TEXT, has_hidden, named, named_cel, re2, spelled_out, unseen
from byoc_operator.api.validation import problems
from byoc_operator.core.credential_values import Field, problem_of
from manifests import BASE, merged

SECRET = {"sipPasswordSecretRef": {"name": "twilio-sip"}}
EVERY = [chr(point) for point in range(sys.maxunicode + 1)]
INVISIBLE = [each for each in EVERY if unicodedata.category(each) in ("Cf", "Zl", "Zp", "Cs")]


def test_every_format_character_of_unicode_is_hidden() -> None:
    assert [f"U+{ord(each):04X}" for each in INVISIBLE if not has_hidden(each)] == []


def test_nothing_that_is_read_is_hidden() -> None:
    """Letters, digits, punctuation and symbols of every writing, but fillers, Braille's blank and what is broken."""
    blank = "\u115f\u1160\u3164\uffa0\u2800\ufffc\ufffd"
    shown = [each for each in EVERY if unicodedata.category(each)[0] in "LNPS" and each not in blank]
    assert [f"U+{ord(each):04X}" for each in shown if has_hidden(each)] == []


@given(st.text())
def test_a_text_without_hidden_characters_has_no_name_for_one(text: str) -> None:
    assert bool(unseen(text)) == any(map(has_hidden, text))
    assert not unseen(text) or named(text)


@pytest.mark.parametrize("field", Field)
@pytest.mark.parametrize("character", "\xad\u200b\u200c\u200d\u200e\u202e\u2060\ufe0f\ufeff\U000e0041")
def test_a_secret_and_a_spec_refuse_the_same_user_names(field: Field, character: str) -> None:
    point = f"U+{ord(character):04X}"
    for value in (f"us{character}er", f"user{character}"):
        assert problem_of(value, field) == f"the value contains {point}, a character that cannot be seen"
        (problem,) = problems(merged(BASE, {**SECRET, "sipUsername": value}))
        assert problem.message.endswith(f"; it contains {point}")


@given(st.text(min_size=1, max_size=20))
def test_a_user_name_that_a_secret_may_hold_is_one_that_a_spec_may_name(name: str) -> None:
    alike = not problems(merged(BASE, {**SECRET, "sipUsername": name}))
    assert (problem_of(name, Field.USERNAME) == "") == alike


@pytest.mark.parametrize("half", ["\ud800", "a\udc80b"])
def test_half_a_character_is_refused_wherever_it_stands(half: str) -> None:
    for changes in (
        {"friendlyName": half},
        {"inboundAgentId": half},
        {**SECRET, "sipUsername": half},
        {"outbound": {"headers": {"X-Id": half}}},
        {"inbound": {"agentMetadata": {"k": half}}},
        {"inbound": {"agentMetadata": {half: "v"}}},
    ):
        assert len(problems(merged(BASE, changes))) == 1
    assert problem_of(half, Field.PASSWORD)


def test_the_table_in_cel_names_what_python_names() -> None:
    """The characters and their numbers stand side by side, four digits each."""
    points = [int(digits, 16) for digits in re.findall(r"\\u([0-9a-f]{4})", named_cel().split(".indexOf")[0])]
    assert 0x200B in points
    assert f'"{"".join(f"{point:04X}" for point in points)}".substring' in named_cel()
    assert [point for point in points if named(chr(point)) != f"; it contains U+{point:04X}"] == []


def test_the_notations_of_a_class() -> None:
    assert re2(r"[\u200b-\u200f\U000e0001\x1f]") == r"[\x{200b}-\x{200f}\x{e0001}\x1f]"
    assert spelled_out(r"[\u200b\x1f]") == "[\u200b\\x1f]"
    assert spelled_out(f"[{HIDDEN_IN_TEXT}]").isprintable() is False
