"""The metadata of an agent's job: what an agent is told about a call."""

import json
from collections.abc import Mapping

from ..api.resource import Key
from ..api.schema import PhoneNumberSpec
from ..api.text_rules import is_reserved_metadata


def inbound_job(spec: PhoneNumberSpec, key: Key) -> Mapping[str, str]:
    """The metadata of the job for a call that comes in, the same for each of its agents."""
    return {
        **{name: text for name, text in spec.inbound.agent_metadata.items() if not is_reserved_metadata(name)},
        "agentId": spec.inbound_agent_id,
        "phoneNumber": spec.phone_number,
        "direction": "inbound",
        "namespace": key.namespace,
        "name": key.name,
    }


def outbound_job(spec: PhoneNumberSpec, key: Key, to: str) -> Mapping[str, str]:
    """The metadata of the job for a call that goes out, as docs/dial_out.py writes it."""
    return {
        "agentId": spec.outbound_agent_id,
        "phoneNumber": spec.phone_number,
        "direction": "outbound",
        "namespace": key.namespace,
        "name": key.name,
        "to": to,
    }


def as_metadata(job: Mapping[str, object]) -> str:
    """The text that LiveKit hands to the agent: the same for the same values."""
    return json.dumps(job, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
