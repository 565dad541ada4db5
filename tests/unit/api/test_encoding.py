"""What a Secret's `data` spells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.encoding import from_base64, to_base64
from strategies import QUICK, json_values


@QUICK
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back(text: str) -> None:
    assert from_base64(to_base64(text)) == text


@QUICK
@given(json_values | st.text(st.characters(exclude_categories=())) | st.text("QUJD=-_ \n", max_size=12))
def test_whatever_stands_there_is_a_text_or_nothing(value: object) -> None:
    assert isinstance(from_base64(value), str | None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        (None, ""),
        ("w6Q=", "ä"),
        ("w6\r\nQ=\n", "ä"),
        ("w6Q", None),
        ("w6 Q=", None),
        ("//4=", None),
        ("ä===", None),
        ("\ud800", None),
        (5, None),
        (["w6Q="], None),
    ],
)
def test_what_is_read(value: object, text: str | None) -> None:
    assert from_base64(value) == text
