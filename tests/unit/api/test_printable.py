"""Text from outside, as it is shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.printable import printable, printable_bytes
from strategies import QUICK

anything = st.text(st.characters(codec=None, categories=None))
"""Halves of characters too."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Grüße 東京 👍", "Grüße 東京 👍"),
        ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
        ("a\x00\x85\x9b", "a\\u{0}\\u{85}\\u{9b}"),
        ("a\u2028b\u2029", "a\\u{2028}b\\u{2029}"),
        ("\u202egpj.exe\u2066\u200b\ufeff", "\\u{202e}gpj.exe\\u{2066}\\u{200b}\\u{feff}"),
        ("half \ud800", "half \\u{d800}"),
        ("tag \U000e0041", "tag \\u{e0041}"),
        ("ideographic\u3000space\u00a0", "ideographic\u3000space\u00a0"),
        ("x" * 101, "x" * 99 + "…"),
        ("\x1b" * 101, "\\u{1b}" * 16 + "\\u{…"),
    ],
)
def test_what_cannot_be_seen_is_escaped_and_what_is_long_is_cut(text: str, expected: str) -> None:
    assert printable(text, 100) == expected


def test_the_end_of_a_line_stays_where_it_may() -> None:
    assert printable("a\nb\r", 100, keep="\n") == "a\nb\\u{d}"


@QUICK
@given(anything | anything.map(lambda text: text * 5000), st.integers(10, 300))
def test_any_text_becomes_visible_and_short(text: str, most: int) -> None:
    shown = printable(text, most)
    assert len(shown) <= most
    assert not {unicodedata.category(each) for each in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert printable(shown, most) == shown
    assert len(printable_bytes(text, most).encode()) <= most


def test_a_short_note_keeps_every_byte() -> None:
    assert printable_bytes("é" * 512, 1024) == "é" * 512
    assert printable_bytes("é" * 513, 1024) == "é" * 510 + "…"
