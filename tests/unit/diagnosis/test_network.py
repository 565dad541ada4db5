"""What a host answers, asked of small servers on 127.0.0.1."""

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from byoc_operator.diagnosis import exchange, network
from byoc_operator.diagnosis.check import Check, State
from byoc_operator.diagnosis.network import Network, look_at
from byoc_operator.diagnosis.target import Role, Target
from sip_servers import (
    HOST,
    Answering,
    Authority,
    answers,
    answers_anything,
    drips,
    ends_at_once,
    floods,
    silent,
    tcp_server,
    udp_server,
)

pytestmark = pytest.mark.slow

OK = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
MOST_S = 15.0


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is left soon. A constant is changed, not a part: the tests would take minutes."""
    for module in (exchange, network):
        monkeypatch.setattr(module, "STEP_S", 1.0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@dataclass
class Known:
    """DNS of the tests."""

    found: tuple[str, ...] | OSError = ("127.0.0.1",)
    srv: tuple[str, ...] = ()

    async def addresses(self, host: str) -> tuple[str, ...]:
        del host
        if isinstance(self.found, OSError):
            raise self.found
        return self.found

    async def services(self, host: str, transport: str) -> tuple[str, ...]:
        del host, transport
        return self.srv


def target(port: int, transport: str = "TLS", host: str = HOST, role: Role = Role.TERMINATION) -> Target:
    return Target(role, host, port, transport)


async def looked(
    at: Target, trusted: ssl.SSLContext | None = None, resolver: Known | None = None, *, local: bool = True
) -> tuple[Check, ...]:
    asked = Network(resolver or Known(), trusted or ssl.create_default_context(), local=local)
    begin = time.monotonic()
    found = await look_at(at, asked)
    assert time.monotonic() - begin < MOST_S
    for check in found:
        assert len(check.says + check.remedy) < 600
        assert (check.says + check.remedy).isprintable()
        assert check.remedy or check.state is State.OK
    return found


def states(checks: tuple[Check, ...]) -> list[str]:
    return [f"{check.name.split()[0]} {check.state}" for check in checks]


# SIP over TLS


async def test_a_carrier_that_answers_over_tls(authority: Authority) -> None:
    async with tcp_server(answers(OK), authority.serving(HOST)) as port:
        checks = await looked(target(port), authority.trusting())
    assert states(checks) == ["DNS ok", "TCP ok", "TLS ok", "SIP ok"]
    assert "speaks TLSv1.3" in checks[2].says
    assert "ends in 89 days" in checks[2].says
    assert not checks[2].warns
    assert "200 OK" in checks[3].says


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "503 Service Unavailable"])
async def test_every_status_proves_that_sip_is_there(authority: Authority, status: str) -> None:
    async with tcp_server(answers(f"SIP/2.0 {status}\r\n\r\n".encode()), authority.serving(HOST)) as port:
        checks = await looked(target(port), authority.trusting())
    assert states(checks)[-1] == "SIP ok"
    assert status in checks[-1].says


@pytest.mark.parametrize("role", Role)
async def test_a_certificate_that_ends_soon_is_a_warning(authority: Authority, role: Role) -> None:
    async with tcp_server(answers(OK), authority.serving(HOST, days=13.5)) as port:
        checks = await looked(target(port, role=role), authority.trusting())
    assert states(checks)[2] == "TLS ok"
    assert checks[2].warns
    assert "ends in 13 days" in checks[2].says


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("serving", "says"),
    [
        ({"days": -1, "age_days": 9}, "has ended (valid from "),
        ({"age_days": -1}, "is not valid yet (valid from "),
        ({"names": ("other.example",)}, "is for another name (it names other.example)"),
        ({"names": ("a.example", "*.b.example", "192.0.2.1", "c.example", "d.example")}, "and 2 more)"),
        ({"names": ("n" * 63 + "." + "n" * 63 + ".example",)}, "…)"),
        ({"names": ()}, "is for another name (it names none)"),
        ({"self_signed": True}, "is signed by itself"),
    ],
)
async def test_a_wrong_certificate(
    authority: Authority, serving: dict[str, float | tuple[str, ...]], says: str, role: Role
) -> None:
    given = dict(serving)
    hosts = given.pop("names", (HOST,))
    assert isinstance(hosts, tuple)
    context = authority.serving(*hosts, **given)  # type: ignore[arg-type]  # the table's values fit their names
    async with tcp_server(answers(OK), context) as port:
        checks = await looked(target(port, role=role), authority.trusting())
    assert states(checks) == ["DNS ok", "TCP ok", "TLS bad"]
    assert says in checks[2].says


async def test_an_authority_that_nobody_trusts(authority: Authority) -> None:
    async with tcp_server(answers(OK), authority.serving(HOST)) as port:
        checks = await looked(target(port))
    assert states(checks)[-1] == "TLS bad"
    assert "authority that is not trusted" in checks[-1].says


async def test_an_address_that_the_certificate_does_not_name(authority: Authority) -> None:
    async with tcp_server(answers(OK), authority.serving(HOST)) as port:
        checks = await looked(target(port, host="127.0.0.1"), authority.trusting())
    assert states(checks) == ["DNS ok", "TCP ok", "TLS bad"]
    assert "is for another address" in checks[-1].says


async def test_an_address_that_the_certificate_names(authority: Authority) -> None:
    async with tcp_server(answers(OK), authority.serving("127.0.0.1")) as port:
        checks = await looked(target(port, host="127.0.0.1"), authority.trusting())
    assert states(checks) == ["DNS ok", "TCP ok", "TLS ok", "SIP ok"]


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("answering", [answers(OK), answers_anything(b"SIP/2.0 400 Bad Request\r\n\r\n")])
async def test_plain_sip_on_the_port_of_tls(authority: Authority, answering: Answering) -> None:
    async with tcp_server(answering) as port:
        checks = await looked(target(port), authority.trusting())
    assert states(checks) == ["DNS ok", "TCP ok", "TLS bad"]
    assert "speaks plain SIP over TCP, not TLS" in checks[-1].says


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize(
    ("answering", "state"),
    [
        (drips, "TLS bad"),
        (floods, "TLS bad"),
        (ends_at_once, "TLS bad"),
        (silent, "TLS unknown"),
        (answers_anything(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "TLS bad"),
    ],
)
async def test_no_tls_at_all(authority: Authority, answering: Answering, state: str) -> None:
    async with tcp_server(answering) as port:
        checks = await looked(target(port), authority.trusting())
    assert states(checks) == ["DNS ok", "TCP ok", state]


async def test_a_server_that_knows_old_tls_only(authority: Authority) -> None:
    context = authority.serving(HOST)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    trusted = authority.trusting()
    trusted.minimum_version = ssl.TLSVersion.TLSv1_3
    async with tcp_server(answers(OK), context) as port:
        checks = await looked(target(port), trusted)
    assert states(checks)[-1] == "TLS bad"
    assert "The TLS handshake with" in checks[-1].says


# What comes back on OPTIONS, over TLS and TCP


SILENT = [silent, ends_at_once, answers(b""), answers(b"\r\n\r\n")]
ANSWERS = [
    (answers(b"\r\n" + OK), State.OK, "200 OK"),
    (answers(b"OPTIONS sip:you@192.0.2.1 SIP/2.0\r\n\r\n"), State.OK, "speaks SIP"),
    (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), State.BAD, "something that is not SIP"),
    (answers(b"\x00\xff\x1b[2J\r\n"), State.BAD, "something that is not SIP"),
    (floods, State.BAD, "something that is not SIP"),
]


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("answering", SILENT)
async def test_silence_proves_nothing(authority: Authority, answering: Answering, encrypted: bool) -> None:  # noqa: FBT001 - a column
    async with tcp_server(answering, authority.serving(HOST) if encrypted else None) as port:
        checks = await looked(target(port, "TLS" if encrypted else "TCP"), authority.trusting())
    assert states(checks)[-1] == "SIP unknown"
    assert "gives no answer to OPTIONS" in checks[-1].says
    assert "proves nothing" in checks[-1].remedy


@pytest.mark.parametrize(("answering", "state", "says"), ANSWERS)
async def test_answers_over_tls(authority: Authority, answering: Answering, state: State, says: str) -> None:
    async with tcp_server(answering, authority.serving(HOST)) as port:
        checks = await looked(target(port), authority.trusting())
    assert states(checks)[:3] == ["DNS ok", "TCP ok", "TLS ok"]
    assert checks[3].state is state
    assert says in checks[3].says


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize(("answering", "state", "says"), ANSWERS)
async def test_answers_over_tcp(answering: Answering, state: State, says: str) -> None:
    async with tcp_server(answering) as port:
        checks = await looked(target(port, "TCP"))
    assert states(checks)[:2] == ["DNS ok", "TCP ok"]
    assert checks[2].state is state
    assert says in checks[2].says


@pytest.mark.usefixtures("_soon")
async def test_a_server_that_drips_is_left_in_time() -> None:
    async with tcp_server(drips) as port:
        checks = await looked(target(port, "TCP"))
    assert checks[2].state is not State.OK


async def test_tls_on_the_port_of_plain_sip(authority: Authority) -> None:
    async with tcp_server(answers(OK), authority.serving(HOST)) as port:
        checks = await looked(target(port, "TCP"))
    assert states(checks) == ["DNS ok", "TCP ok", "SIP bad"]
    assert "speaks TLS, not plain SIP" in checks[-1].says


@pytest.mark.parametrize("transport", ["TLS", "TCP"])
async def test_nothing_listens(transport: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        checks = await looked(target(held.getsockname()[1], transport))
    assert states(checks) == ["DNS ok", "TCP bad"]
    assert "127.0.0.1: refused" in checks[-1].says


async def test_a_second_address_is_tried() -> None:
    async with tcp_server(answers(OK)) as port:
        checks = await looked(target(port, "TCP"), resolver=Known(("127.0.0.2", "127.0.0.1")))
    assert states(checks) == ["DNS ok", "TCP ok", "SIP ok"]
    assert checks[1].says.startswith("127.0.0.1 accepts")
    assert checks[1].warns
    assert "127.0.0.2: refused" in checks[1].remedy


@pytest.mark.usefixtures("_soon")
async def test_a_connection_that_nobody_accepts_proves_nothing() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        checks = await looked(target(full.getsockname()[1], "TCP"))
        for each in waiting:
            each.close()
    assert states(checks) == ["DNS ok", "TCP unknown"]
    assert "no answer in time" in checks[-1].says


# UDP


async def test_an_answer_over_udp() -> None:
    async with udp_server([OK]) as (port, received):
        checks = await looked(target(port, "UDP"))
    assert states(checks) == ["DNS ok", "SIP ok"]
    assert received[0].startswith(f"OPTIONS sip:{HOST}:{port};transport=udp SIP/2.0\r\n".encode())


async def test_a_request_that_is_lost_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_RESEND_AFTER_S", (0.05, 0.05, 0.05))
    async with udp_server([b"", b"", OK]) as (port, received):
        checks = await looked(target(port, "UDP"))
    assert states(checks) == ["DNS ok", "SIP ok"]
    assert len(received) == 3
    assert len(set(received)) == 1


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize(
    ("reply", "state"), [(b"", "SIP unknown"), (b"x" * 60_000, "SIP bad"), (b"\x00\r\n", "SIP bad")]
)
async def test_other_answers_over_udp(reply: bytes, state: str) -> None:
    async with udp_server([reply]) as (port, _):
        checks = await looked(target(port, "UDP"))
    assert states(checks) == ["DNS ok", state]


async def test_nothing_listens_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    checks = await looked(target(port, "UDP"))
    assert states(checks) == ["DNS ok", "SIP bad"]
    assert "Nothing listens" in checks[-1].says


# DNS


async def test_a_host_with_srv_records_only_names_what_livekit_needs() -> None:
    (check,) = await looked(target(5061), resolver=Known((), ("edge.carrier.example:5071",)))
    assert check.state is State.BAD
    assert "SRV records only (edge.carrier.example:5071), and LiveKit needs A or AAAA" in check.says
    assert check.remedy == "Put edge.carrier.example:5071 into spec.terminationUri."


async def test_a_host_that_does_not_exist() -> None:
    (check,) = await looked(target(5061, role=Role.OWN), resolver=Known(()))
    assert (check.state, check.says) == (State.BAD, f"{HOST} has no A and no AAAA record.")
    assert "BYOC_SIP_URI" in check.remedy


@pytest.mark.parametrize("exc", [TimeoutError(), socket.gaierror(socket.EAI_AGAIN, "try again")])
async def test_dns_that_does_not_answer(exc: OSError) -> None:
    (check,) = await looked(target(5061), resolver=Known(exc))
    assert check.state is State.UNKNOWN


async def test_a_host_with_ipv6_only_is_a_warning() -> None:
    checks = await looked(target(1, "TCP"), resolver=Known(("::1",)))
    assert checks[0].warns
    assert "IPv6" in checks[0].remedy


async def test_a_private_address_of_ours_is_a_warning() -> None:
    checks = await looked(target(1, "TCP", role=Role.OWN), resolver=Known(("127.0.0.1",)))
    assert "No carrier on the internet reaches a private address" in checks[0].remedy


@pytest.mark.usefixtures("_soon")
async def test_looks_at_two_hosts_can_run_at_once() -> None:
    async with tcp_server(silent) as slow, tcp_server(answers(OK)) as port:
        both = await asyncio.gather(looked(target(slow, "TCP")), looked(target(port, "TCP")))
    assert [states(each)[-1] for each in both] == ["SIP unknown", "SIP ok"]


LOCAL = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "::", "169.254.169.254", "fe80::1%lo", "224.0.0.1")


@pytest.mark.parametrize("address", LOCAL)
async def test_nothing_is_sent_to_an_address_that_each_machine_has_for_itself(address: str) -> None:
    received: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1))
        writer.close()

    async with tcp_server(note) as port:
        (dns,) = await looked(target(port, "TCP"), resolver=Known((address,)), local=False)
    assert (dns.name, dns.state) == ("DNS of the termination host", State.BAD)
    assert "nothing was sent there" in dns.says
    assert received == []


async def test_another_address_beside_a_local_one_is_looked_at() -> None:
    async with tcp_server(answers(OK)) as port:
        checks = await looked(target(port, "TCP"), resolver=Known(("169.254.169.254", "127.0.0.1")))
    assert states(checks) == ["DNS ok", "TCP ok", "SIP ok"]
    assert checks[1].says.startswith("127.0.0.1")
