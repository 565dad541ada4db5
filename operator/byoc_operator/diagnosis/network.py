"""What a SIP host answers: DNS, TCP, TLS, and the SIP request OPTIONS.

All is seen from the machine that asks. A carrier may let LiveKit's addresses in and no others, so that silence proves
nothing; a refusal, a wrong certificate or the wrong protocol on a port are the same for all.
"""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from ..api.printable import printable
from . import certificate
from .check import Check, State
from .exchange import STEP_S, Connection, ask_by_udp, connected
from .names import Resolver, SystemResolver
from .sip_message import first_line, is_sip, is_tls, status_in
from .target import Role, Target

_MOST_TRIED: Final = 3
"""Addresses of a host that are tried, within one step; LiveKit itself uses the first."""

_MAX_REASON: Final = 120
_SILENCE: Final = {
    Role.TERMINATION: "Many carriers drop OPTIONS, or let in known addresses only: this proves nothing. Make a call.",
    Role.OWN: "LiveKit answers each OPTIONS: see whether firewall and load balancer let this port in from the carrier.",
}


@dataclass(frozen=True, slots=True)
class Network:
    """What a look uses. `trusted`: whose certificates count. `now`: seconds since 1970.

    `local`: whether the termination host may be this machine itself, because livekit-sip runs here too.
    """

    resolver: Resolver = field(default_factory=SystemResolver)
    trusted: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    now: Callable[[], float] = time.time
    local: bool = False


async def look_at(target: Target, network: Network) -> tuple[Check, ...]:
    """What a host answers, step after step, until one fails.

    Each step takes at most some seconds; nothing is raised.
    """
    dns, addresses = await _look_up(target, network.resolver)
    if target.role is Role.TERMINATION:
        dns, addresses = _without_own(target, dns, addresses, local=network.local)
    if not addresses:
        return (dns,)
    if target.transport == "UDP":
        return dns, await _sip_by_udp(target, addresses[0])
    tcp, address = await _connect(target, addresses[:_MOST_TRIED])
    if not address:
        return dns, tcp
    if target.transport == "TLS":
        return dns, tcp, *await _over_tls(target, address, network)
    return dns, tcp, await _sip_by_tcp(target, address)


# DNS


async def _look_up(target: Target, resolver: Resolver) -> tuple[Check, tuple[str, ...]]:
    name = f"DNS of {target.role}"
    if target.is_address:
        return Check(name, State.OK, f"{target.host} is an address and needs no DNS."), (target.host,)
    try:
        addresses = await resolver.addresses(target.host)
    except OSError as exc:
        says = f"DNS gave no answer for {target.host}: {_reason(exc)}."
        return Check(name, State.UNKNOWN, says, "Repair DNS of this machine, or ask from another one."), ()
    if not addresses:
        return await _no_address(name, target, resolver), ()
    says = f"{target.host} has the address{'es' if len(addresses) > 1 else ''} {', '.join(addresses)}."
    return Check(name, State.OK, says, _warning(target, addresses)), addresses


def _without_own(
    target: Target, dns: Check, addresses: tuple[str, ...], *, local: bool
) -> tuple[Check, tuple[str, ...]]:
    """Leave out the addresses that mean another machine for LiveKit than for us. No carrier has one.

    Whoever may write a number chooses the host and the port, and must not reach what only this machine reaches.
    """
    kept = tuple(each for each in addresses if not _is_own(each, local=local))
    if kept or not addresses:
        return dns, kept
    says = f"{target.host} has the address {addresses[0]}, which is local to each machine: nothing was sent there."
    return Check(dns.name, State.BAD, says, f"Put the carrier's host into {target.role.setting}."), ()


def _is_own(text: str, *, local: bool) -> bool:
    """Whether an address is one of this machine, or of its own network segment (such as 169.254.169.254)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    bare = getattr(address, "ipv4_mapped", None) or address
    if bare.is_loopback:
        return not local
    return bool(bare.is_link_local or bare.is_unspecified or bare.is_multicast)


def _warning(target: Target, addresses: tuple[str, ...]) -> str:
    """What to do although the host has addresses; empty if nothing."""
    if target.role is Role.OWN and not any(map(_is_public, addresses)):
        return "No carrier on the internet reaches a private address: see that public DNS has a public one."
    if target.role is Role.TERMINATION and all(":" in each for each in addresses):
        return "The host has IPv6 addresses only: see that the nodes of livekit-sip have IPv6."
    return ""


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global


async def _no_address(name: str, target: Target, resolver: Resolver) -> Check:
    services = await resolver.services(target.host, target.transport)
    if services:
        shown = printable(services[0], _MAX_REASON)
        says = f"{target.host} has SRV records only ({shown}), and LiveKit needs A or AAAA."
        return Check(name, State.BAD, says, f"Put {shown} into {target.role.setting}.")
    says = f"{target.host} has no A and no AAAA record."
    return Check(name, State.BAD, says, f"Correct the host in {target.role.setting}, or its DNS zone.")


# TCP and TLS


async def _connect(target: Target, addresses: tuple[str, ...]) -> tuple[Check, str]:
    """The check, and the first address that accepts a connection; empty if none does."""
    name, problems = f"TCP to {target.role}", list[tuple[str, OSError]]()
    for address in addresses:
        try:
            async with asyncio.timeout(STEP_S / len(addresses)), connected(address, target.port, None, target.host):
                says = f"{address} accepts connections to port {target.port}."
                return Check(name, State.OK, says, _other_addresses(target, problems)), address
        except OSError as exc:
            problems.append((address, exc))
    told = _told(problems)
    says = f"No connection to port {target.port} of {target.host} ({told})."
    if any(isinstance(exc, ConnectionRefusedError) for _, exc in problems):
        return Check(name, State.BAD, says, f"Correct the port or the transport in {target.role.setting}."), ""
    remedy = "A firewall may stand between this machine and the host; LiveKit's nodes may reach it."
    return Check(name, State.UNKNOWN, says, remedy), ""


def _other_addresses(target: Target, problems: Sequence[tuple[str, OSError]]) -> str:
    """What to do about addresses that were tried before one accepted; empty if there are none."""
    if not problems or target.role is Role.OWN:
        return ""
    return (
        f"LiveKit tries one address only, and may take one that fails from here ({_told(problems)}): tell the carrier."
    )


def _told(problems: Sequence[tuple[str, OSError]]) -> str:
    return "; ".join(f"{address}: {_reason(exc)}" for address, exc in problems)


async def _over_tls(target: Target, address: str, network: Network) -> tuple[Check, ...]:
    """The checks of TLS, and of SIP if there is a session."""
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(STEP_S):
                opened = connected(address, target.port, network.trusted, target.host)
                connection = await stack.enter_async_context(opened)
        except ssl.SSLCertVerificationError as exc:
            return (certificate.refused(target, exc, await _shown_certificate(target, address)),)
        except OSError as exc:
            return (await _no_session(target, address, exc),)
        if connection.session is None:
            return ()
        tls = certificate.accepted(target, connection.session, network.now())
        return tls, _sip_check(target, await _answer(target, connection))


async def _no_session(target: Target, address: str, exc: OSError) -> Check:
    """Why there is no TLS session: often a server that speaks plain SIP."""
    name = certificate.name_of(target)
    if _is_sip(await _answer_by_tcp(replace(target, transport="TCP"), address)):
        says = f"{target} speaks plain SIP over TCP, not TLS."
        remedy = f"Put the port of TLS (often 5061) into {target.role.setting}, or use transport TCP."
        return Check(name, State.BAD, says, remedy)
    if isinstance(exc, TimeoutError):
        says = f"{target} does not answer the TLS handshake."
        return Check(name, State.UNKNOWN, says, _SILENCE[target.role])
    says = f"The TLS handshake with {target} fails: {_reason(exc)}."
    return Check(name, State.BAD, says, f"Correct the port or the transport in {target.role.setting}.")


async def _speaks_tls(target: Target, address: str) -> bool:
    return await _shown_certificate(target, address) is not None


async def _shown_certificate(target: Target, address: str) -> bytes | None:
    """The certificate that a host shows, in DER and unchecked; None if there is no TLS session."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE  # nothing is sent, and nothing is believed
    try:
        async with asyncio.timeout(STEP_S), connected(address, target.port, anyone, target.host) as connection:
            return connection.session.certificate if connection.session else None
    except OSError:
        return None


# SIP


async def _sip_by_tcp(target: Target, address: str) -> Check:
    received = await _answer_by_tcp(target, address)
    if not _is_sip(received) and (is_tls(received) or await _speaks_tls(target, address)):
        says = f"{target} speaks TLS, not plain SIP over TCP."
        remedy = f"Use transport TLS, or put the port of TCP (often 5060) into {target.role.setting}."
        return Check(_sip_name(target), State.BAD, says, remedy)
    return _sip_check(target, received)


async def _sip_by_udp(target: Target, address: str) -> Check:
    try:
        return _sip_check(target, await ask_by_udp(address, target))
    except ConnectionRefusedError:
        says = f"Nothing listens on port {target.port} (UDP) of {address}."
        remedy = f"Correct the port or the transport in {target.role.setting}."
        return Check(_sip_name(target), State.BAD, says, remedy)
    except OSError:
        return _sip_check(target, b"")


async def _answer_by_tcp(target: Target, address: str) -> bytes:
    """What comes back on OPTIONS over a new connection without TLS; nothing if there is no connection."""
    try:
        async with asyncio.timeout(STEP_S), connected(address, target.port, None, target.host) as connection:
            return await connection.ask(target)
    except OSError:
        return b""


async def _answer(target: Target, connection: Connection) -> bytes:
    try:
        async with asyncio.timeout(STEP_S):
            return await connection.ask(target)
    except OSError:
        return b""


def _is_sip(received: bytes) -> bool:
    return is_sip(first_line(received) or b"")


def _sip_name(target: Target) -> str:
    return f"SIP of {target.role}"


def _sip_check(target: Target, received: bytes) -> Check:
    """The check of what came back on OPTIONS."""
    name, line = _sip_name(target), first_line(received)
    if not line:
        says = f"{target} gives no answer to OPTIONS over {target.transport}."
        return Check(name, State.UNKNOWN, says, _SILENCE[target.role])
    status = status_in(line)
    if status is not None:
        return Check(name, State.OK, f"{target} answers OPTIONS over {target.transport} with {status}.")
    if is_sip(line):
        return Check(name, State.OK, f"{target} speaks SIP over {target.transport}.")
    says = f"{target} answers over {target.transport} with something that is not SIP."
    return Check(name, State.BAD, says, f"Correct host, port or transport in {target.role.setting}.")


def _reason(exc: OSError) -> str:
    """Why something failed, in a few words."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, ConnectionRefusedError):
        return "refused"
    if isinstance(exc, ConnectionError):
        return "the other side closes the connection"
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return printable(exc.reason.replace("_", " ").lower(), _MAX_REASON)
    return printable(exc.strerror or type(exc).__name__, _MAX_REASON)
