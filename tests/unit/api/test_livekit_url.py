"""LiveKit's URL is taken apart by one rule, whatever stands in it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from byoc_operator.api.livekit_url import LiveKitUrl, livekit_url

SECRET = "hunter2"
WRONG = (
    *("", "livekit.example.com", "https://", "wss:///path", "ftp://livekit", "//livekit", "https:livekit"),
    *("https://[::1", "https://::1]", "https://[livekit]", "https://[::1]x", "https://[fe80::1%25eth0]"),
    *("wss://livekit:port", "wss://livekit:0", "wss://livekit:65536", "wss://livekit:", "wss://livekit:99999999999"),
    *(f"ws://user:{SECRET}@livekit", f"ws://{SECRET}@[::1", f"ws://user:{SECRET}@livekit:port", "ws://@livekit"),
    *("ws://live kit", "ws://livekit/\x1b[2J", "ws://livekit/\n", "ws://livekit/\u202e", "ws://livekit/\udc80"),
    *(f"wss://{'a' * 64}.example.com", f"wss://{'a.' * 127}example.com", "wss://live_kit", "wss://256.1.1.1"),
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_url_of_livekit_is_none(text: str) -> None:
    assert livekit_url(text) is None


@pytest.mark.parametrize(
    ("text", "parts", "place"),
    [
        ("wss://LiveKit.example.com", LiveKitUrl(True, "livekit.example.com", 443, ""), "livekit.example.com"),
        ("https://livekit.example.com:443/", LiveKitUrl(True, "livekit.example.com", 443, ""), "livekit.example.com"),
        ("ws://127.0.0.1:7880/base/", LiveKitUrl(False, "127.0.0.1", 7880, "/base"), "127.0.0.1:7880"),
        ("http://[::1]:443", LiveKitUrl(False, "::1", 443, ""), "[::1]:443"),
        ("http://[2001:DB8::1]", LiveKitUrl(False, "2001:db8::1", 80, ""), "[2001:db8::1]"),
    ],
)
def test_the_parts_of_a_url(text: str, parts: LiveKitUrl, place: str) -> None:
    assert livekit_url(text) == parts
    assert parts.place == place


PIECES = ("https", "wss", "ftp", ":", "//", "[", "]", "::1", "@", "%", "/", "?", "#", "livekit", "7880", ".", " ", "é")


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
@example("https://livekit/é?a=b#c")
def test_any_text_is_a_url_that_clients_accept_or_none(text: str) -> None:
    parts = livekit_url(text)
    if parts is not None:
        assert (URL(text).host, URL(text.replace("ws", "http", 1)).port) == (parts.host, parts.port)
