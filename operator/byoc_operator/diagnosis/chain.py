"""The chain of a call, in and out: every link in order, and the first one that is broken.

What depends on a broken link is unknown; everything else is looked at all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ..api.secret_references import references
from ..core.desired import asks_with, preset_of
from ..core.trunk import Mask
from . import encryption_links, livekit_links, object_links, operator_links, secret_links, trunk_links
from .call import RULE as RULE_OF_CALL
from .call import TRUNK as TRUNK_OF_CALL
from .call import Question, explain
from .check import Check, State
from .facts import Facts
from .found import Found, View
from .judgement import judged, secret_views


@dataclass(frozen=True, slots=True)
class Link:
    """One link. `needs`: the links without which it tells nothing."""

    name: str
    look: Callable[[View], Found]
    needs: tuple[str, ...] = ()


OBJECT, SPEC, SECRET, SEALING = "Object", "Spec", "Secret", "Sealing"
OPERATOR, LEADER = "Operator", "Leader"
LIVEKIT, KEY, SERVICE, VERSION = "LiveKit", "LiveKit's key", "LiveKit's SIP service", "LiveKit's version"
HOLDER, INBOUND, RULE, AGENT = "Holder of the number", "Inbound trunk", "Dispatch rule", "Agent"
CALL: Final = "Call"

CHAIN: Final = (
    Link(OBJECT, object_links.object_there),
    Link(SPEC, object_links.spec_valid, (OBJECT,)),
    Link("Management", object_links.managed, (OBJECT,)),
    Link("Ready", object_links.ready, (OBJECT,)),
    Link(SECRET, secret_links.secret_usable, (SPEC,)),
    Link(SEALING, secret_links.sealing, (SECRET,)),
    Link("Label of the Secret", secret_links.label, (SPEC,)),
    Link(OPERATOR, operator_links.deployed),
    Link("Operator's pods", operator_links.pods, (OPERATOR,)),
    Link(LEADER, operator_links.leader, (OPERATOR,)),
    Link("Last sweep", operator_links.swept, (LEADER,)),
    Link("Namespace", operator_links.watched, (OBJECT, OPERATOR)),
    Link(LIVEKIT, livekit_links.reached),
    Link("Operator's LiveKit", livekit_links.same),
    Link(KEY, livekit_links.key, (LIVEKIT,)),
    Link(SERVICE, livekit_links.sip_service, (KEY,)),
    Link(VERSION, livekit_links.version, (SERVICE,)),
    Link(HOLDER, trunk_links.holder, (SPEC, SERVICE)),
    Link(INBOUND, trunk_links.inbound, (HOLDER,)),
    Link("Aliases", trunk_links.aliases, (HOLDER,)),
    Link(RULE, trunk_links.rule, (INBOUND,)),
    Link(AGENT, trunk_links.agent, (RULE,)),
    Link("Rules of others", trunk_links.intruders, (HOLDER,)),
    Link("Outbound trunk", trunk_links.outbound, (HOLDER, SECRET, SEALING)),
    Link("Encryption", encryption_links.encryption, (SPEC,)),
    Link("Origination URI", encryption_links.origination, (SPEC,)),
    Link("Findings", trunk_links.others, (HOLDER,)),
)


def chain(facts: Facts, mask: Mask) -> tuple[Check, ...]:
    """The checks of all links, of the network and of the call, in order.

    `mask`: the one with which the Secrets and LiveKit's lists were read.
    """
    view = View(facts, judged(facts, mask), secret_views(facts, mask))
    broken: dict[str, str] = {}
    checks = [_looked(link, view, broken) for link in CHAIN]
    checks += facts.network
    checks += _call(view, broken)
    return tuple(checks)


def first_break(checks: tuple[Check, ...]) -> Check | None:
    """The first check that is bad, None if none is."""
    return next((check for check in checks if check.state is State.BAD), None)


def _looked(link: Link, view: View, broken: dict[str, str]) -> Check:
    """The check of a link. `broken`: by link the first break that it depends on, itself included."""
    cause = next((broken[each] for each in link.needs if each in broken), "")
    if cause:
        broken[link.name] = cause
        return Check(link.name, State.UNKNOWN, f"Not known before “{cause}” is in order.")
    check = link.look(view).named(link.name)
    if check.state is State.BAD:
        broken[link.name] = link.name
    return check


def _call(view: View, broken: dict[str, str]) -> Iterator[Check]:
    """Whether the call would be accepted."""
    judged = view.judged
    cause = next((broken[each] for each in (INBOUND, RULE, AGENT) if each in broken), "")
    if cause:
        yield Check(CALL, State.UNKNOWN, f"Not known before “{cause}” is in order.")
        return
    if judged is None:
        yield Check(CALL, State.UNKNOWN, "What LiveKit does with a call is not known.")
        return
    if not judged.spec.inbound_agent_id:
        return
    call = view.facts.call
    if not call.caller and judged.spec.inbound.allowed_callers:
        call = replace(call, caller=judged.spec.inbound.allowed_callers[0])
    call = replace(call, called=call.called or judged.spec.phone_number)
    question = Question(
        call,
        judged.spec.phone_number,
        judged.owned,
        judged.trunks,
        judged.rules,
        preset_of(judged.spec, judged.installation.carriers),
        next((each.to.name for each in references(judged.spec) if each.path == asks_with(judged.spec)), ""),
    )
    explained = explain(question)
    for check in explained.checks:
        follows = check.name == RULE_OF_CALL and explained.judgement.trunk is None and explained.judgement.rule is None
        if follows and not explained.judgement.contradict:
            yield Check(check.name, State.UNKNOWN, f"Not known before “{TRUNK_OF_CALL}” is in order.")
        else:
            yield check
