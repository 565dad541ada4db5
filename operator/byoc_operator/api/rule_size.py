"""Bounds what one number puts into its dispatch rule: LiveKit lists all rules in one reply.

The rule repeats the metadata for each agent, so no bound of a single field can do this.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from .structural import Problem

MAX_RULE_BYTES: Final = 98_304
"""Bytes of the texts of a spec in its dispatch rule. The longest `agentMetadata` for one agent takes 82 kB."""


def oversized_rule(spec: Mapping[str, Any]) -> tuple[Problem, ...]:
    """The mistake of a spec, whose fields have the right types, that would make a dispatch rule too large."""
    inbound = spec.get("inbound") or {}
    room = inbound.get("room") or {}
    agents = 1 + len(inbound.get("additionalAgentIds") or ())
    size = agents * _bytes(inbound.get("agentMetadata") or {})
    size += sum(map(_bytes, (inbound.get("attributes") or {}, room.get("tags") or {}, room.get("metadata") or "")))
    if size <= MAX_RULE_BYTES:
        return ()
    message = (
        f"must have at most {MAX_RULE_BYTES} bytes in agentMetadata, attributes, room.tags and room.metadata together, "
        f"with agentMetadata counted once for each agent; there are {size}"
    )
    return (Problem("spec.inbound", message),)


def _bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
