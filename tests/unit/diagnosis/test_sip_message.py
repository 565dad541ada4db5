"""SIP's request OPTIONS and the first line of the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.diagnosis.sip_message import MAX_LINE, first_line, is_sip, is_tls, options_request, status_in
from byoc_operator.diagnosis.target import Role, Target, own_target, termination_target


def test_the_request_is_whole() -> None:
    target = Target(Role.TERMINATION, "sip.example.com", 5061, "TLS")
    lines = options_request(target, ("192.0.2.1", 40000), "abc").decode().split("\r\n")
    assert lines[0] == "OPTIONS sip:sip.example.com:5061;transport=tls SIP/2.0"
    assert lines[1] == "Via: SIP/2.0/TLS 192.0.2.1:40000;rport;branch=z9hG4bKabc"
    names = {line.partition(":")[0] for line in lines[1:-2]}
    assert names >= {"Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Content-Length"}
    assert lines[-2:] == ["", ""]


def test_ipv6_is_in_brackets() -> None:
    target = Target(Role.TERMINATION, "2001:db8::1", 5060, "UDP")
    request = options_request(target, ("2001:db8::2", 40000), "abc").decode()
    assert request.startswith("OPTIONS sip:[2001:db8::1]:5060;transport=udp SIP/2.0\r\n")
    assert "Via: SIP/2.0/UDP [2001:db8::2]:40000;rport" in request


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"SIP/2.0 200 OK", "200 OK"),
        (b"SIP/2.0 100 Trying", "100 Trying"),
        (b"SIP/2.0 404", "404"),
        (b"SIP/2.0 403 ", "403"),
        (b"SIP/2.0 503 Nein \xc3\xbc", "503 Nein \u00fc"),
        (b"SIP/2.0 200 \x1b[2J", "200 \\u{1b}[2J"),
        (b"SIP/2.0 200 " + b"a" * 500, "200 " + "a" * 79 + "\u2026"),
    ],
)
def test_a_status(line: bytes, status: str) -> None:
    assert str(status_in(line)) == status
    assert is_sip(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1 400 Bad Request",
        b"SIP/2.0 700 X",
        b"SIP/2.0 20 OK",
        b"SIP/2.0  200 OK",
        b"SIP/3.0 200 OK",
        b"\xff",
    ],
)
def test_no_status(line: bytes) -> None:
    assert status_in(line) is None
    assert not is_sip(line)


def test_a_request_is_sip_without_a_status() -> None:
    line = b"OPTIONS sip:we@192.0.2.1 SIP/2.0"
    assert (status_in(line), is_sip(line)) == (None, True)


@pytest.mark.parametrize(
    ("received", "line"),
    [
        (b"", None),
        (b"\r\n\r\n", None),
        (b"SIP/2.0 200 OK", None),
        (b"SIP/2.0 200 OK\r", None),
        (b"\r\n\r\nSIP/2.0 200 OK\r\nVia: x", b"SIP/2.0 200 OK"),
        (b"SIP/2.0 200 OK\n", b"SIP/2.0 200 OK"),
        (b"x" * 5000, b"x" * MAX_LINE),
    ],
)
def test_the_first_line(received: bytes, line: bytes | None) -> None:
    assert first_line(received) == line


@given(st.binary(max_size=3000))
def test_nothing_that_is_received_makes_it_fail(received: bytes) -> None:
    line = first_line(received)
    is_tls(received)
    if line is not None:
        assert len(line) <= MAX_LINE
        assert is_sip(line) or status_in(line) is None


@pytest.mark.parametrize(
    ("uri", "transport", "target"),
    [
        ("sip.example.com", "TLS", "sip.example.com:5061"),
        ("sip.example.com.", "TCP", "sip.example.com:5060"),
        ("sip.example.com:6061", "TLS", "sip.example.com:6061"),
        ("[2001:db8::1]:5070", "UDP", "[2001:db8::1]:5070"),
        ("192.0.2.1", "UDP", "192.0.2.1:5060"),
    ],
)
def test_the_target_of_calls_out(uri: str, transport: str, target: str) -> None:
    found = termination_target(uri, transport)
    assert found is not None
    assert (str(found), found.transport, found.role) == (target, transport, Role.TERMINATION)


@pytest.mark.parametrize("uri", ["", "sip:a.example", "a b", "a.example\r\nVia: x", "a.example:0", "http://a.example/"])
def test_what_is_no_endpoint_is_no_target(uri: str) -> None:
    assert termination_target(uri, "TLS") is None


@pytest.mark.parametrize(
    ("setting", "transport", "target"),
    [
        ("sip.example.com", "TLS", "sip.example.com:5061 TLS"),
        ("sip.example.com:5061", "TCP", "sip.example.com:5060 TCP"),
        ("sip:sip.example.com;transport=tcp", "TLS", "sip.example.com:5060 TCP"),
        ("sip.example.com:6061,sip.example.com:6060;transport=udp", "UDP", "sip.example.com:6060 UDP"),
        ("", "TLS", "None"),
        ("sip.example.com:6061", "UDP", "None"),
    ],
)
def test_the_target_of_the_carriers_calls(setting: str, transport: str, target: str) -> None:
    found = own_target(setting, transport)
    assert (f"{found} {found.transport}" if found else "None") == target
