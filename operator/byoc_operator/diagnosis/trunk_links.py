"""Links of the chain: who holds the number, and what LiveKit has of it against what it should have."""

from typing import Final

from ..core.desired import agent_names
from ..core.findings import Code
from ..core.trunk import Kind
from .facts import Unseen
from .found import Found, View, bad, ok, unknown
from .judgement import Judged

_AGENT_PATHS: Final = ("dispatchRule.agentName", "dispatchRule.additionalAgents")
_REPAIR: Final = (
    "The operator writes it back at its next sweep, and at once with `kubectl byoc refresh {name} -n {namespace}`. "
    "If it does not, see the rows Management, Ready and Leader."
)
_INTRUDERS: Final = (
    Code.CONTRADICTING_RULES,
    Code.FOREIGN_RULE_ON_TRUNK,
    Code.FOREIGN_WILDCARD_RULE,
    Code.FOREIGN_CATCH_ALL_TRUNK,
)
_TOLD_ELSEWHERE: Final = (
    *_INTRUDERS,
    Code.NO_INBOUND_AGENT,
    Code.MEDIA_NOT_ENCRYPTED,
    Code.TRANSPORT_NOT_ENCRYPTED,
    Code.PORT_OF_ANOTHER_TRANSPORT,
    Code.INVITE_TOO_LARGE_FOR_UDP,
    Code.SIP_URI_NOT_CONFIGURED,
    Code.CREDENTIALS_NOT_WATCHED,
    Code.CREDENTIALS_PLAIN_TEXT,
)
_FAILING: Final = (Code.NO_CODEC_IN_COMMON, Code.CARRIER_LACKS_ENCRYPTION)
"""Findings with which every call fails."""

_MOST_FINDINGS: Final = 3


def holder(view: View) -> Found:
    """Whether the number is this object's."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    if judged.claimed is not None:
        return bad(judged.claimed.message, "Delete one of the two objects, or have the number released, as it says.")
    if isinstance(view.facts.numbers, Unseen):
        return ok(f"No other object is known to hold {judged.spec.phone_number} ({view.facts.numbers.why}).")
    return ok(f"The object holds {judged.spec.phone_number}; no other one does.")


def inbound(view: View) -> Found:
    """Whether the inbound trunk is there and as it should be."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    if not judged.spec.inbound_agent_id:
        if judged.owned.inbound:
            return bad("The number names no agent, and its inbound trunk is still there.", _repair(judged))
        remedy = "Set spec.inboundAgentId if the number shall take calls."
        return ok("The number names no agent, so it takes no calls and has no inbound trunk.", remedy)
    if judged.conflict is not None:
        return bad(judged.conflict.message, "Delete the other trunk in LiveKit, or do what else the message says.")
    return _compared(judged, Kind.INBOUND_TRUNK)


def aliases(view: View) -> Found:
    """Whether the aliases are this object's."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    verdict = judged.aliases.verdict(judged.number)
    if verdict is not None:
        return bad(verdict.message, "Take the alias out of one of the two, or do what else the message says.")
    names = judged.number.aliases
    return ok(f"The object has its aliases: {', '.join(names)}." if names else "The number has no aliases.")


def rule(view: View) -> Found:
    """Whether the dispatch rule is there and as it should be."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    if not judged.spec.inbound_agent_id:
        return ok("The number names no agent, so it has no dispatch rule.")
    return _compared(judged, Kind.DISPATCH_RULE, besides=_AGENT_PATHS)


def agent(view: View) -> Found:
    """Whether the rule calls the right agents."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    if not judged.spec.inbound_agent_id:
        return ok("The number names no agent.")
    wanted = ", ".join(agent_names(judged.spec, judged.installation.agent_name))
    kept = next(iter(judged.owned.rules), None)
    if kept is None:
        return unknown("LiveKit has no dispatch rule of this number.")
    if not kept.agent_name:
        return bad(
            f"Dispatch rule {kept.id} names no agent, so nobody answers; it should be {wanted}.", _repair(judged)
        )
    called = ", ".join((kept.agent_name, *kept.additional_agents))
    if called != wanted:
        return bad(f"Dispatch rule {kept.id} calls the agent {called} in place of {wanted}.", _repair(judged))
    who, whether = f"agent {wanted}", "a worker of that name runs"
    if kept.additional_agents:
        who, whether = f"agents {wanted}", "their workers run"
    return ok(f"Dispatch rule {kept.id} calls the {who}. Only a call shows whether {whether}.")


def intruders(view: View) -> Found:
    """Whether other people's rules and trunks get the calls."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    found = judged.finding(*_INTRUDERS)
    if found:
        says = " ".join(each.message for each in found)
        return bad(says, "`lk sip dispatch list` and `lk sip inbound list` show them; ask whoever made them.")
    return ok("No rule or trunk of others gets the number's calls.")


def outbound(view: View) -> Found:
    """Whether the outbound trunk is there and as it should be."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    if judged.conflict is not None and not judged.owned.outbound:
        return bad(judged.conflict.message, "The operator makes the trunk once the conflict is solved.")
    found = _compared(judged, Kind.OUTBOUND_TRUNK)
    if judged.assumed and not found.remedy:
        return ok(f"{found.says} Whether its credentials are those of the Secret is not known.")
    return found


def others(view: View) -> Found:
    """What the operator finds beside all this."""
    judged = view.judged
    if judged is None:
        return _not_judged(view)
    found = [each for each in judged.assessment.findings if each.code not in _TOLD_ELSEWHERE]
    if not found:
        return ok("Nothing else is to be said.")
    found.sort(key=lambda each: each.code not in _FAILING)
    says = " ".join(f"{each.code}: {each.message}" for each in found[:_MOST_FINDINGS])
    told = bad if found[0].code in _FAILING else ok
    return told(says, "See docs/reference.md, Findings.")


def _compared(judged: Judged, kind: Kind, besides: tuple[str, ...] = ()) -> Found:
    there = judged.owned.of(kind)
    if not there:
        return bad(f"LiveKit has no {kind.label} of this number.", _repair(judged))
    surplus = [each for each in judged.surplus(kind) if len(there) > 1]
    if surplus:
        says = f"LiveKit has {len(there)} {kind.label}s of this number, {', '.join(surplus)} too many."
        return bad(says, _repair(judged))
    drift = [path for path in judged.drift(kind) if path not in besides]
    if drift:
        says = f"The {kind.label} {there[0].id} is otherwise than it should be: {', '.join(drift)}."
        return bad(says, _repair(judged))
    return ok(f"The {kind.label} {there[0].id} is as it should be.")


def _repair(judged: Judged) -> str:
    return _REPAIR.format(name=judged.number.key.name, namespace=judged.number.key.namespace)


def _not_judged(view: View) -> Found:
    livekit, installation = view.facts.livekit, view.facts.installation
    if isinstance(livekit, Unseen):
        return unknown(f"LiveKit's lists are not known: {livekit.why}.")
    if livekit.problem is not None:
        return unknown("LiveKit's lists are not known.")
    why = installation.why if isinstance(installation, Unseen) else "the object is not known"
    return unknown(f"What LiveKit should have is not known: {why}.")
