"""Which texts are credentials by their form, and which words of prose are not."""

import pytest

from byoc_operator.api.authorization import without_authorization


@pytest.mark.parametrize(
    "text",
    [
        "invalid bearer token",
        "Basic authentication is required",
        "Basic Authentication is required.",
        "BASIC AUTHENTICATION IS REQUIRED",
        "a bearer credential.",
        'WWW-Authenticate: Basic realm="sip"',
        'WWW-Authenticate: Bearer error="invalid_token", error_description="expired"',
    ],
)
def test_a_sentence_stays(text: str) -> None:
    assert without_authorization(text) == text


@pytest.mark.parametrize(
    "value",
    [
        *("Basic YTpi", "Basic YTo=", "Basic eDp5", "basic dXNlcjpwYXNz", "Bearer abcdefg1", "Bearer abcdefgH"),
        *("bearer abc-defg", "Bearer ABCDEFGHIJKL", "Bearer a.b.c.d.e", 'Digest username="a", realm="b"'),
    ],
)
@pytest.mark.parametrize("before", ["", "sent ", "Authorization: ", '"Proxy-Authorization": "'])
def test_a_value_of_the_header_is_masked(before: str, value: str) -> None:
    assert without_authorization(f"{before}{value}") == f"{before}***"


@pytest.mark.parametrize("value", ["Bearer abcd", "Basic abcdefgh", "Bearer abcdefghijkl"])
def test_behind_the_name_of_the_header_every_value_is_masked(value: str) -> None:
    assert without_authorization(f"Authorization: {value}") == "Authorization: ***"
