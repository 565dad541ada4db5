"""LiveKit's SIP API over HTTP, through livekit-api.

The library (1.2.2) gives its calls no timeout, no bound and a signature each; all three are done here. Its reading
of replies is guarded too: it takes an empty body for an empty list.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from livekit.api.sip_service import SipService
from livekit.protocol.models import Pagination
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    CreateSIPInboundTrunkRequest,
    CreateSIPOutboundTrunkRequest,
    DeleteSIPDispatchRuleRequest,
    DeleteSIPTrunkRequest,
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    ListSIPOutboundTrunkRequest,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)
from pydantic import SecretStr

from ..core.trunk import DispatchRule, InboundTrunk, Kind, Mask, Masked, OutboundTrunk, SipObject, kind_of
from ..errors import Gone, Unavailable
from . import convert
from .error_map import LIBRARY_ERRORS, from_library
from .session import Endpoint, SignedSession

_Result = TypeVar("_Result")
_Info = TypeVar("_Info", SIPOutboundTrunkInfo, SIPInboundTrunkInfo, SIPDispatchRuleInfo)
_Object = TypeVar("_Object", OutboundTrunk, InboundTrunk, DispatchRule)
_Any = TypeVar("_Any", bound=SipObject)

_PORTION = 500
"""Objects read without a break, about 20 ms; 10,000 in one go would keep watches and probes waiting for 0.4 s."""

Observer = Callable[[str, str, float], None]
"""Told of every call: LiveKit's method name, `ok` or the error's reason, its duration in seconds."""


class LiveKitClient:
    """`gateway.SipGateway` over the network. Made inside a running event loop; close it with `aclose`.

    `clock`: seconds, monotonic. `may_write` raises if nothing must be written now. Every call ends within `timeout_s`,
    and none is repeated here.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        mask: Mask,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._may_write = may_write
        self._paged = endpoint.paged
        self._timeout_s = endpoint.timeout_s
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._session = SignedSession(endpoint, clock)
        self._mask = mask
        self._observer = observer
        self._clock = clock
        self._lists_passwords = not endpoint.paged
        # Fields that this server fills by itself, learned from its replies to our writes, which never hold them.
        # Without this memory such a field would be a difference for ever.
        self._server_made: set[tuple[Kind, str]] = set()

    async def probe(self) -> None:
        """One filtered list by an ID that does not exist: it costs next to nothing and still needs the key."""
        request = ListSIPDispatchRuleRequest(dispatch_rule_ids=["SDR_probe"])
        await self._call("ListSIPDispatchRule", lambda sip: sip.list_dispatch_rule(request))

    async def list_outbound_trunks(self) -> list[OutboundTrunk]:
        """All outbound trunks, without credentials' texts."""

        async def page(after: Pagination | None, sip: SipService) -> Iterable[SIPOutboundTrunkInfo]:
            return (await sip.list_outbound_trunk(ListSIPOutboundTrunkRequest(page=after))).items

        infos = await self._list("ListSIPOutboundTrunk", page, lambda info: info.sip_trunk_id)
        self._learn(infos)
        return await _in_portions(infos, self._read_outbound)

    async def list_inbound_trunks(self) -> list[InboundTrunk]:
        """All inbound trunks, without credentials' texts."""

        async def page(after: Pagination | None, sip: SipService) -> Iterable[SIPInboundTrunkInfo]:
            return (await sip.list_inbound_trunk(ListSIPInboundTrunkRequest(page=after))).items

        infos = await self._list("ListSIPInboundTrunk", page, lambda info: info.sip_trunk_id)
        self._learn(infos)
        return await _in_portions(infos, self._read_inbound)

    async def list_dispatch_rules(self) -> list[DispatchRule]:
        """All dispatch rules."""

        async def page(after: Pagination | None, sip: SipService) -> Iterable[SIPDispatchRuleInfo]:
            return (await sip.list_dispatch_rule(ListSIPDispatchRuleRequest(page=after))).items

        infos = await self._list("ListSIPDispatchRule", page, lambda info: info.sip_dispatch_rule_id)
        return await _in_portions(infos, self._read_rule)

    async def create(self, wanted: _Any) -> _Any:
        """Create; `wanted.id` is not looked at. ValueError if a credential of `wanted` has no text."""
        return cast("_Any", await self._create(replace(wanted, id="")))

    async def replace(self, wanted: _Any) -> _Any:
        """Replace the object `wanted.id` as a whole. ValueError if a credential of `wanted` has no text."""
        return cast("_Any", await self._replace(wanted))

    async def _create(self, wanted: SipObject) -> SipObject:
        if isinstance(wanted, OutboundTrunk):
            outbound = CreateSIPOutboundTrunkRequest(trunk=convert.outbound_to_proto(wanted))
            return await self._write(
                "CreateSIPOutboundTrunk", wanted, lambda sip: sip.create_outbound_trunk(outbound), self._read_outbound
            )
        if isinstance(wanted, InboundTrunk):
            inbound = CreateSIPInboundTrunkRequest(trunk=convert.inbound_to_proto(wanted))
            return await self._write(
                "CreateSIPInboundTrunk", wanted, lambda sip: sip.create_inbound_trunk(inbound), self._read_inbound
            )
        # The old `trunk_ids` makes the server check the rules of these trunks only. Without it one foreign pair of
        # conflicting rules anywhere refuses every create (livekit/livekit `pkg/service/sip.go`; tried on 1.13.5).
        rule = CreateSIPDispatchRuleRequest(dispatch_rule=convert.rule_to_proto(wanted), trunk_ids=wanted.trunk_ids)
        return await self._write(
            "CreateSIPDispatchRule", wanted, lambda sip: sip.create_dispatch_rule(rule), self._read_rule
        )

    async def _replace(self, wanted: SipObject) -> SipObject:
        if isinstance(wanted, OutboundTrunk):
            outbound = convert.outbound_to_proto(wanted)
            return await self._write(
                "UpdateSIPOutboundTrunk",
                wanted,
                lambda sip: sip.update_outbound_trunk(wanted.id, outbound),
                self._read_outbound,
            )
        if isinstance(wanted, InboundTrunk):
            inbound = convert.inbound_to_proto(wanted)
            return await self._write(
                "UpdateSIPInboundTrunk",
                wanted,
                lambda sip: sip.update_inbound_trunk(wanted.id, inbound),
                self._read_inbound,
            )
        rule = convert.rule_to_proto(wanted)
        return await self._write(
            "UpdateSIPDispatchRule", wanted, lambda sip: sip.update_dispatch_rule(wanted.id, rule), self._read_rule
        )

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete; an object that is already gone is a success."""
        try:
            if kind is Kind.DISPATCH_RULE:
                rule = DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=id)
                await self._call("DeleteSIPDispatchRule", lambda sip: sip.delete_dispatch_rule(rule))
            else:
                trunk = DeleteSIPTrunkRequest(sip_trunk_id=id)
                await self._call("DeleteSIPTrunk", lambda sip: sip.delete_trunk(trunk))
        except Gone:
            return

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """Change a trunk's metadata and nothing else; a trunk that is gone is a success. Rules: ValueError."""
        try:
            match kind:
                case Kind.OUTBOUND_TRUNK:
                    await self._call(
                        "UpdateSIPOutboundTrunk", lambda sip: sip.update_outbound_trunk_fields(id, metadata=metadata)
                    )
                case Kind.INBOUND_TRUNK:
                    await self._call(
                        "UpdateSIPInboundTrunk", lambda sip: sip.update_inbound_trunk_fields(id, metadata=metadata)
                    )
                case Kind.DISPATCH_RULE:
                    raise ValueError("a rule is marked by its name, not by metadata")
        except Gone:
            return

    def set_credentials(self, key: str, secret: SecretStr) -> None:
        """Use another API key from the next call on."""
        self._session.set_credentials(key, secret)

    async def aclose(self) -> None:
        """Close all connections; calls still under way fail."""
        await self._session.aclose()

    async def _list(
        self,
        method: str,
        page: Callable[[Pagination | None, SipService], Awaitable[Iterable[_Info]]],
        id_of: Callable[[_Info], str],
    ) -> list[_Info]:
        """All objects, by ID. Ends with a page that brings nothing new, so that a server without pages ends too."""
        found: dict[str, _Info] = {}
        after: Pagination | None = None
        while True:
            items = await self._call(method, partial(page, after))
            # Cloud may list empty places for objects that are gone.
            new = {id_of(item): item for item in items if id_of(item) and id_of(item) not in found}
            found |= new
            if not self._paged or not new:
                return list(found.values())
            after = Pagination(after_id=list(new)[-1])

    async def _write(
        self,
        method: str,
        wanted: _Object,
        call: Callable[[SipService], Awaitable[_Info]],
        read: Callable[[_Info], _Object],
    ) -> _Object:
        """The object as the reply tells it; what LiveKit may keep back is taken from `wanted`, without its text."""
        stored = read(await self._call(method, call, convert.credential_texts(wanted)))
        if not stored.id and not wanted.id:
            raise Unavailable("LiveKitUnavailable", "LiveKit's answer to a create held no ID.", outcome_unknown=True)
        self._server_made |= {(kind_of(stored), name) for name in stored.extra}
        stored = replace(stored, id=stored.id or wanted.id, extra=())
        if isinstance(stored, DispatchRule):
            return stored
        if not self._paged or stored.password is not None:
            return stored
        return replace(stored, password=_remembered_password(wanted))

    async def _call(
        self, method: str, call: Callable[[SipService], Awaitable[_Result]], credentials: Iterable[str] = ()
    ) -> _Result:
        """One call within its time, as soon as a slot is free, counted; its failure as one of our errors."""
        async with self._slots:
            if not method.startswith("List"):
                self._may_write()  # as late as can be: the wait for a slot may have been long
            sip = self._session.sip()
            started_s = self._clock()
            outcome = "cancelled"
            try:
                async with asyncio.timeout(self._timeout_s):
                    result = await call(sip)
                outcome = "ok"
                return result
            except LIBRARY_ERRORS as error:
                mapped = from_library(error, credentials)
                outcome = mapped.reason
                if outcome == "LiveKitUnauthorized":
                    self._session.sign_anew()
                raise mapped from error
            finally:
                self._observer(method, outcome, self._clock() - started_s)

    def _learn(self, infos: Iterable[SIPOutboundTrunkInfo] | Iterable[SIPInboundTrunkInfo]) -> None:
        self._lists_passwords = self._lists_passwords or any(info.auth_password for info in infos)

    def _read_outbound(self, info: SIPOutboundTrunkInfo) -> OutboundTrunk:
        return self._read(convert.outbound_from_proto(info, self._mask, lists_passwords=self._lists_passwords))

    def _read_inbound(self, info: SIPInboundTrunkInfo) -> InboundTrunk:
        return self._read(convert.inbound_from_proto(info, self._mask, lists_passwords=self._lists_passwords))

    def _read_rule(self, info: SIPDispatchRuleInfo) -> DispatchRule:
        return self._read(convert.rule_from_proto(info))

    def _read(self, stored: _Object) -> _Object:
        if not stored.extra:
            return stored
        kind = kind_of(stored)
        return replace(stored, extra=tuple(name for name in stored.extra if (kind, name) not in self._server_made))


async def _in_portions(infos: Iterable[_Info], read: Callable[[_Info], _Object]) -> list[_Object]:
    found: list[_Object] = []
    for info in infos:
        found.append(read(info))
        if len(found) % _PORTION == 0:
            await asyncio.sleep(0)
    return found


def _remembered_password(wanted: SipObject) -> Masked | None:
    if isinstance(wanted, DispatchRule) or wanted.password is None:
        return None
    return Masked(wanted.password.digest)
