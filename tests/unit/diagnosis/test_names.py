"""What DNS knows of a host. Questions go to 127.0.0.1 only."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest

from byoc_operator.diagnosis import names
from byoc_operator.diagnosis.names import MOST, SystemResolver


async def test_the_system_knows_this_machine() -> None:
    assert "127.0.0.1" in await SystemResolver().addresses("localhost")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "127.0.0.1.127.0.0.1..x"])
async def test_a_name_that_cannot_exist_has_no_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, lambda *_, **__: host.encode("idna"))
    assert await SystemResolver().addresses(host) == ()


def system(monkeypatch: pytest.MonkeyPatch, look_up: Callable[..., Any]) -> None:
    """The system's look-up, which must not leave this machine."""
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def raising(exc: OSError) -> Callable[..., Any]:
    def look_up(*_: object, **__: object) -> Any:
        raise exc

    return look_up


async def test_a_name_that_does_not_exist_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, raising(socket.gaierror(socket.EAI_NONAME, "unknown")))
    assert await SystemResolver().addresses("nowhere.example") == ()


@pytest.mark.parametrize("exc", [socket.gaierror(socket.EAI_AGAIN, "try again"), OSError("no network")])
async def test_dns_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, exc: OSError) -> None:
    system(monkeypatch, raising(exc))
    with pytest.raises(OSError, match=str(exc.args[-1])):
        await SystemResolver().addresses("nowhere.example")


async def test_a_look_up_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hangs(*_: object, **__: object) -> Any:
        asyncio.run_coroutine_threadsafe(ended.wait(), loop).result(5)
        return []

    system(monkeypatch, hangs)
    monkeypatch.setattr(names, "STEP_S", 0.1)
    with pytest.raises(TimeoutError):
        await SystemResolver().addresses("slow.example")
    ended.set()
    await asyncio.sleep(0.05)


async def test_many_addresses_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{each % 200}", 0)) for each in range(1000)]
    system(monkeypatch, lambda *_, **__: found)
    assert len(await SystemResolver().addresses("many.example")) == MOST


class DnsServer(asyncio.DatagramProtocol):
    """Answers each question with these SRV records, or that there are none."""

    transport: asyncio.DatagramTransport

    def __init__(self, *records: str) -> None:
        self.records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        if self.records:
            answer.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "SRV", *self.records))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.mark.parametrize(
    ("records", "services"),
    [
        (["20 1 5061 b.example.", "10 1 5071 a.example."], ("a.example:5071", "b.example:5061")),
        (["10 1 5061 b.example.", "10 9 5061 a.example."], ("a.example:5061", "b.example:5061")),
        (["0 0 0 ."], ()),
        ([], ()),
    ],
)
async def test_srv_records(monkeypatch: pytest.MonkeyPatch, records: list[str], services: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: DnsServer(*records), local_addr=("127.0.0.1", 0))
    monkeypatch.setattr(dns.asyncresolver, "Resolver", at(transport.get_extra_info("sockname")[1]))
    try:
        assert await SystemResolver().services("carrier.example", "TLS") == services
    finally:
        transport.close()


async def test_without_a_server_there_are_no_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "STEP_S", 0.2)
    monkeypatch.setattr(dns.asyncresolver, "Resolver", at(1))
    assert await SystemResolver().services("carrier.example", "UDP") == ()


def at(port: int) -> Callable[[], dns.asyncresolver.Resolver]:
    """Resolvers that ask 127.0.0.1 at a port."""
    asked = dns.asyncresolver.Resolver(configure=False)
    asked.nameservers, asked.port = ["127.0.0.1"], port
    return lambda: asked
