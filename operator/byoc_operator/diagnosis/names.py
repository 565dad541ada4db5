"""What DNS knows of a host. Each question is bounded in time and in the number of answers."""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
from dns.rdtypes.IN.SRV import SRV

from .exchange import STEP_S

MOST: Final = 8
"""Answers of each kind that are kept."""

_ABSENT: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_SERVICE: Final = {"TLS": "_sips._tcp", "TCP": "_sip._tcp", "UDP": "_sip._udp"}
"""RFC 3263 section 4.1: under which name a domain tells its SIP servers, for each transport."""


class Resolver(Protocol):
    """Asks DNS."""

    async def addresses(self, host: str) -> tuple[str, ...]:
        """IPv4 and IPv6 addresses of a name, empty if it has none. Raises OSError if DNS does not tell."""
        ...

    async def services(self, host: str, transport: str) -> tuple[str, ...]:
        """The SRV records of a name for SIP over a transport as `host:port`, best first; empty if none are known."""
        ...


class SystemResolver:
    """Asks as this machine is set up to."""

    async def addresses(self, host: str) -> tuple[str, ...]:
        """As `Resolver.addresses`.

        The system's own look-up cannot be ended, so that a thread does it which nobody waits for at the end.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

        def settle(found: tuple[str, ...] | OSError) -> None:
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found = _system_addresses(host)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=look_up, daemon=True).start()
        async with asyncio.timeout(STEP_S):
            return await answer

    async def services(self, host: str, transport: str) -> tuple[str, ...]:
        """As `Resolver.services`."""
        try:
            resolver = dns.asyncresolver.Resolver()
            async with asyncio.timeout(STEP_S):
                answer = await resolver.resolve(f"{_SERVICE[transport]}.{host}", dns.rdatatype.SRV, lifetime=STEP_S)
        except (dns.exception.DNSException, OSError):
            return ()
        records = [each for each in answer if isinstance(each, SRV) and each.target != dns.name.root]
        records.sort(key=lambda each: (each.priority, -each.weight))
        return tuple(f"{each.target.to_text(omit_final_dot=True)}:{each.port}" for each in records[:MOST])


def _system_addresses(host: str) -> tuple[str, ...] | OSError:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as exc:
        return () if exc.errno in _ABSENT else exc
    except OSError as exc:
        return exc
    except UnicodeError:  # a label that is too long
        return ()
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))[:MOST]
