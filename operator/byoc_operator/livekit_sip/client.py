"""LiveKit's SIP API over HTTP, through livekit-api.

The library (1.2.2) gives its calls no timeout, no bound and a signature each; all three are done here. Its reading
of replies is guarded too: it takes an empty body for an empty list.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar, cast

from google.protobuf.message import Message
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

from ..api.conditions import Reason
from ..core.ownership import owner_of
from ..core.trunk import DispatchRule, InboundTrunk, Kind, Mask, OutboundTrunk, SipObject, kind_of
from ..errors import Gone, Unavailable
from . import convert
from .bounds import Room
from .error_map import LIBRARY_ERRORS, TooMuch, from_library
from .listing import FEW_FIELDS, MAX_FIELDS, MAX_OBJECTS, PATIENCE, Seen, Unreadable, items_of, read, seen_as
from .session import Endpoint, SignedSession

_Result = TypeVar("_Result")
_Info = TypeVar("_Info", SIPOutboundTrunkInfo, SIPInboundTrunkInfo, SIPDispatchRuleInfo)
_Object = TypeVar("_Object", OutboundTrunk, InboundTrunk, DispatchRule)
_Trunk = TypeVar("_Trunk", OutboundTrunk, InboundTrunk)
_Any = TypeVar("_Any", bound=SipObject)

_PORTION, _ITEM_WEIGHT, _CUT_AT_ONCE = 2**17, 256, 5000
"""Bytes read without a break, what an object counts for beside its own, objects cut apart without a break: each about
5 ms. 10,000 in one go would keep watches and probes waiting."""

_Listed = Callable[[memoryview, int], Seen[_Object]]
"""Reads one object of a list, of it at most so many fields where it is not whole."""

_MAX_PAGES = 1000
"""Of one list: each takes a call, and a server could make up new ones for ever."""

_LIST_LIMIT_S = 300.0
"""Of one list, all its pages: each page may take the time of a call."""

_ID_KNOWN = 256
"""Characters by which two IDs are told apart."""

log = logging.getLogger(__name__)

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
        self._unreadable: dict[str, Unreadable] = {}
        self._server_made: set[tuple[Kind, str]] = set()

    @property
    def unreadable(self) -> int:
        """How many objects of the last lists could not be read whole, or have an ID that nobody can use."""
        return sum(each.count for each in self._unreadable.values())

    async def probe(self) -> None:
        """One filtered list by an ID that does not exist: it costs next to nothing and still needs the key."""
        request = ListSIPDispatchRuleRequest(dispatch_rule_ids=["SDR_probe"])
        await self._call("ListSIPDispatchRule", lambda sip: sip.list_dispatch_rule(request))

    async def list_outbound_trunks(self) -> list[OutboundTrunk]:
        """All outbound trunks, without credentials' texts."""
        found = await self._list("ListSIPOutboundTrunk", ListSIPOutboundTrunkRequest, self._outbound_listed)
        return self._with_passwords_judged(found)

    async def list_inbound_trunks(self) -> list[InboundTrunk]:
        """All inbound trunks, without credentials' texts."""
        found = await self._list("ListSIPInboundTrunk", ListSIPInboundTrunkRequest, self._inbound_listed)
        return self._with_passwords_judged(found)

    async def list_dispatch_rules(self) -> list[DispatchRule]:
        """All dispatch rules."""
        return await self._list("ListSIPDispatchRule", ListSIPDispatchRuleRequest, self._rule_listed)

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

    async def _list(self, method: str, request: Callable[..., Message], listed: _Listed[_Object]) -> list[_Object]:
        """All objects, each ID once, and what bears our mark without a usable ID: its owner must know of it."""
        try:
            async with asyncio.timeout(_LIST_LIMIT_S):
                return await self._pages(method, request, listed)
        except (TooMuch, TimeoutError) as exc:
            raise from_library(exc) from exc

    async def _pages(self, method: str, request: Callable[..., Message], listed: _Listed[_Object]) -> list[_Object]:
        """Ends with a page that brings nothing new, so that a server without pages ends too."""
        found: list[_Object] = []
        known: set[str] = set()
        room, unreadable, after = Room(), Unreadable(), None
        for _ in range(_MAX_PAGES):
            last = ""
            async for item in _in_portions(await self._page(method, request(page=after))):
                seen = listed(item, FEW_FIELDS if unreadable.count > PATIENCE else MAX_FIELDS)
                listed_as = seen.id[:_ID_KNOWN]
                if listed_as in known:
                    continue
                if not seen.whole or seen.value.id != listed_as:
                    unreadable.note(listed_as)
                    await asyncio.sleep(0)  # to look at such a one takes long
                if listed_as:
                    known.add(listed_as)
                    last = listed_as
                if seen.value.id or owner_of(seen.value) is not None:
                    found.append(room.take(seen.value))
            if len(known) > MAX_OBJECTS:
                raise TooMuch
            if not self._paged or not last:
                self._tell(method, unreadable)
                return found
            after = Pagination(after_id=last)
        raise TooMuch

    async def _page(self, method: str, request: Message) -> list[memoryview]:
        """One page, taken apart but unread: one bad object must not hide the others."""

        async def page(_: SipService) -> list[memoryview]:
            found: list[memoryview] = []
            for item in items_of(await self._session.listed(method, request)):
                found.append(item)
                if len(found) % _CUT_AT_ONCE == 0:
                    await asyncio.sleep(0)
            return found

        return await self._call(method, page)

    def _tell(self, method: str, unreadable: Unreadable) -> None:
        """Say once, not at each sweep, what cannot be read."""
        before = self._unreadable.get(method)
        self._unreadable[method] = unreadable
        if unreadable.count and (before is None or before.count == 0):
            log.warning("%s: %s", method, unreadable.message)

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
            message = "LiveKit's answer to a create held no ID."
            raise Unavailable(Reason.LIVEKIT_UNAVAILABLE, message, outcome_unknown=True)
        self._server_made |= {(kind_of(stored), name) for name in stored.extra}
        stored = replace(stored, id=stored.id or wanted.id, extra=())
        if isinstance(stored, DispatchRule):
            return stored
        if not self._paged or stored.password is not None:
            return stored
        return replace(stored, password=convert.remembered_password(wanted))

    async def _call(
        self, method: str, call: Callable[[SipService], Awaitable[_Result]], credentials: Iterable[str] = ()
    ) -> _Result:
        """One call within its time, as soon as a slot is free, counted; its failure as one of our errors."""
        async with self._slots:
            if not method.startswith("List"):
                self._may_write()  # as late as can be: the wait for a slot may have been long
            sip = self._session.sip()
            started_s, outcome = self._clock(), "cancelled"
            try:
                async with asyncio.timeout(self._timeout_s):
                    result = await call(sip)
                outcome = "ok"
                return result
            except LIBRARY_ERRORS as error:
                mapped = from_library(error, credentials)
                outcome = mapped.reason
                if mapped.reason is Reason.LIVEKIT_UNAUTHORIZED:
                    self._session.sign_anew()
                raise mapped from error
            finally:
                self._observer(method, outcome, self._clock() - started_s)

    def _with_passwords_judged(self, found: list[_Trunk]) -> list[_Trunk]:
        """One password that is listed shows that a missing one means none, also of trunks that came before."""
        if self._lists_passwords or not any(trunk.password for trunk in found):
            return found
        self._lists_passwords = True
        return [replace(trunk, password_listed=True) for trunk in found]

    def _outbound_listed(self, item: memoryview, most_fields: int) -> Seen[OutboundTrunk]:
        got = read(SIPOutboundTrunkInfo, item, most_fields)
        return seen_as(got.info.sip_trunk_id, self._read_outbound(got.info), got, len(item))

    def _inbound_listed(self, item: memoryview, most_fields: int) -> Seen[InboundTrunk]:
        got = read(SIPInboundTrunkInfo, item, most_fields)
        return seen_as(got.info.sip_trunk_id, self._read_inbound(got.info), got, len(item))

    def _rule_listed(self, item: memoryview, most_fields: int) -> Seen[DispatchRule]:
        got = read(SIPDispatchRuleInfo, item, most_fields)
        return seen_as(got.info.sip_dispatch_rule_id, self._read_rule(got.info), got, len(item))

    def _read_outbound(self, info: SIPOutboundTrunkInfo) -> OutboundTrunk:
        return self._read(convert.outbound_from_proto(info, self._mask, lists_passwords=self._lists_passwords))

    def _read_inbound(self, info: SIPInboundTrunkInfo) -> InboundTrunk:
        return self._read(convert.inbound_from_proto(info, self._mask, lists_passwords=self._lists_passwords))

    def _read_rule(self, info: SIPDispatchRuleInfo) -> DispatchRule:
        return self._read(convert.rule_from_proto(info, self._mask))

    def _read(self, stored: _Object) -> _Object:
        if not stored.extra:
            return stored
        kind = kind_of(stored)
        return replace(stored, extra=tuple(name for name in stored.extra if (kind, name) not in self._server_made))


async def _in_portions(items: list[memoryview]) -> AsyncIterator[memoryview]:
    """Every item; the event loop gets its turns between them."""
    weight = 0
    for item in items:
        weight += _ITEM_WEIGHT + len(item)
        if weight > _PORTION:
            weight = 0
            await asyncio.sleep(0)
        yield item
