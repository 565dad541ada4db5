"""Rules for what a caller meets: the room, its agents and its attributes."""

import re
from collections.abc import Mapping
from typing import Any, Final

from . import grammar
from .characters import HIDDEN, HIDDEN_IN_TEXT
from .rule import Entries, Rule, TextForm, Together, cel_text, naming, pattern_rule
from .rule_makers import (
    identifier_rule,
    map_rule,
    plain_map_rule,
    visible_map_rule,
    visible_rule,
    without_controls_rule,
)

LIVEKITS_ATTRIBUTE: Final = "^(?:sip|lk)[.]"
"""Matches the names of attributes that LiveKit sets itself (livekit/protocol `livekit/attrs.go`)."""

LIVEKITS_NAMES: Final = "that begin with sip. or lk., which belong to LiveKit; other names are allowed"

_LIVEKITS_ATTRIBUTE: Final = re.compile(LIVEKITS_ATTRIBUTE)


def is_livekits_attribute(name: str) -> bool:
    """Whether LiveKit sets attributes of such a name itself."""
    return _LIVEKITS_ATTRIBUTE.search(name) is not None


_ONCE_CEL: Final = (
    "self.inbound.additionalAgentIds.all(a, (!has(self.inboundAgentId) || a != self.inboundAgentId) && "
    "self.inbound.additionalAgentIds.exists_one(b, b == a))"
)


def _are_named_once(spec: Mapping[str, Any]) -> bool:
    more = (spec.get("inbound") or {}).get("additionalAgentIds") or ()
    return len({*more, spec.get("inboundAgentId", "")}) == len(more) + 1


ROOM_RULES: Final = (
    naming(
        pattern_rule(
            "inbound.additionalAgentIds[]",
            "must be the name of an agent: not empty, without control characters, without a blank at its beginning or "
            "end, such as transcriber",
            grammar.NAME,
        )
    ),
    visible_rule("inbound.additionalAgentIds[]", HIDDEN),
    Rule(
        node="",
        field="inbound.additionalAgentIds",
        message="must name each agent once, and not the agent of inboundAgentId, which joins in any case",
        cel=f"!has(self.inbound) || !has(self.inbound.additionalAgentIds) || {_ONCE_CEL}",
        holds=_are_named_once,
        form=Together("agentTwice"),
    ),
    map_rule(
        "inbound.attributes",
        f"must not have names {LIVEKITS_NAMES}",
        (f"k.matches({cel_text(LIVEKITS_ATTRIBUTE)})", lambda name, _: is_livekits_attribute(name)),
        Entries(keys=TextForm(none=(LIVEKITS_ATTRIBUTE,))),
    ),
    plain_map_rule("inbound.attributes"),
    visible_map_rule("inbound.attributes", HIDDEN_IN_TEXT, keys=True),
    identifier_rule("inbound.room.prefix"),
    visible_rule("inbound.room.prefix", HIDDEN),
    without_controls_rule("inbound.room.metadata"),
    visible_rule("inbound.room.metadata", HIDDEN_IN_TEXT),
    plain_map_rule("inbound.room.tags"),
    visible_map_rule("inbound.room.tags", HIDDEN_IN_TEXT, keys=True),
)
