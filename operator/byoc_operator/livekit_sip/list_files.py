"""Reads LiveKit's lists from files: what `lk sip inbound|outbound|dispatch list --json` prints.

That is the reply of the server as protobuf has it in JSON (livekit-cli `pkg/util/json.go`): an object with `items`, in
which fields that are not set are missing.
"""

import json
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format

from ..core.trunk import DispatchRule, InboundTrunk, Mask, OutboundTrunk, SipObject, partly_unreadable
from .kinds import in_livekit
from .listing import MAX_OBJECTS

_RULE_IDS = ("sipDispatchRuleId", "sip_dispatch_rule_id")
_PASSWORDS = ("authPassword", "auth_password")


def objects_in(files: Iterable[tuple[str, bytes]], mask: Mask) -> list[SipObject]:
    """The objects of all files (`name, content`), each ID once. Raises ValueError that quotes no value."""
    items = [(where, item) for where, content in files for item in _items(where, content)]
    if len(items) > MAX_OBJECTS:
        raise ValueError(f"there are more than {MAX_OBJECTS} objects")
    lists_passwords = any(item.get(name) for _, item in items for name in _PASSWORDS)
    found: dict[str, SipObject] = {}
    for where, item in items:
        each = _object(where, item, mask, lists_passwords=lists_passwords)
        if found.setdefault(each.id, each) != each:
            raise ValueError(f"{where}: {each.id} stands there twice, with different fields")
    return list(found.values())


def _items(where: str, content: bytes) -> list[dict[str, Any]]:
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{where}: it is no JSON") from None
    items = reply.get("items", []) if isinstance(reply, dict) else reply
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"{where}: it is no list as `lk sip … list --json` prints it")
    return items


def _object(where: str, item: dict[str, Any], mask: Mask, *, lists_passwords: bool) -> SipObject:
    """An object of a list. Only an outbound trunk has an address, which LiveKit demands of it."""
    of: type[SipObject] = OutboundTrunk if "address" in item else InboundTrunk
    if any(name in item for name in _RULE_IDS):
        of = DispatchRule
    conversion = in_livekit(of).conversion
    info, whole = conversion.info(), True
    try:
        json_format.ParseDict(item, info)
    except json_format.ParseError:
        whole, info = False, conversion.info()
        try:
            json_format.ParseDict(item, info, ignore_unknown_fields=True)
        except json_format.ParseError:
            raise ValueError(f"{where}: an object has fields of another type than LiveKit's") from None
    found: SipObject = conversion.from_proto(info, mask, lists_passwords=lists_passwords or of is DispatchRule)
    if not found.id:
        raise ValueError(f"{where}: an object has no ID")
    return found if whole else partly_unreadable(found)
