"""Whether LiveKit would accept a call to one number, and which filter stops the call.

LiveKit's own choice is made again by `core.matching`, over everything that LiveKit holds: also what is other people's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from ..api import grammar
from ..api.carriers import Preset
from ..api.printable import printable
from ..core.matching import Call, Filter, Judgement, Result, judge, rule_filter, trunk_filter
from ..core.ownership import Owned
from ..core.trunk import DispatchRule, InboundTrunk, RoomForm, normalised
from .check import Check, State

TRUNK: Final = "Inbound trunk of the call"
RULE: Final = "Dispatch rule of the call"
DIGEST: Final = "Digest of the call"

_MOST_SHOWN = 64
_MOST_LISTED = 3
_SHORTEST_NATIONAL = 4
"""Digits: the end of a number is a national number only if it is not very short."""

_ASK_THE_OWNER = "ask whoever made it; `lk sip` shows and deletes it"


@dataclass(frozen=True, slots=True)
class Question:
    """A call to a number of ours.

    `call`: as the carrier sends it. `phone_number`: E.164. `owned`: what the number has in LiveKit. `trunks`, `rules`:
    all inbound trunks and dispatch rules that LiveKit holds. `preset`: of the number's carrier. `secret`: the Secret
    with what a calling trunk must prove, empty if the spec asks for nothing.
    """

    call: Call
    phone_number: str
    owned: Owned
    trunks: Sequence[InboundTrunk]
    rules: Sequence[DispatchRule]
    preset: Preset
    secret: str = ""

    def is_ours(self, id: str) -> bool:
        """Whether a LiveKit object belongs to the number."""
        return id in self.owned.ids

    def named(self, id: str) -> str:
        """An ID for a message."""
        shown = printable(id, _MOST_SHOWN)
        return shown if self.is_ours(id) else f"{shown} (not ours)"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What LiveKit does with a call, and the checks that say why.

    No check is bad if our trunk and our rule get the call; only a challenge that the carrier cannot answer still is.
    """

    judgement: Judgement
    checks: tuple[Check, ...]


def explain(question: Question) -> Explanation:
    """What LiveKit would do with a call, and what to change where."""
    trunks = sorted(question.trunks, key=lambda trunk: trunk.id)
    rules = sorted(question.rules, key=lambda rule: rule.id)
    judgement = judge(trunks, rules, question.call)
    if judgement.contradict and judgement.trunk is None and _are_trunks(judgement.contradict, trunks):
        return Explanation(judgement, (_trunks_contradict(question, judgement.contradict),))
    checks = [_trunk_check(question, judgement.trunk), _rule_check(question, judgement)]
    if judgement.trunk is not None and judgement.trunk.username is not None:
        checks.append(_digest_check(question, judgement.trunk))
    return Explanation(judgement, tuple(checks))


def _are_trunks(ids: Iterable[str], trunks: Iterable[InboundTrunk]) -> bool:
    return set(ids) <= {trunk.id for trunk in trunks}


def _trunks_contradict(question: Question, ids: tuple[str, ...]) -> Check:
    one, other = map(question.named, ids)
    says = f"Inbound trunks {one} and {other} both take this call: LiveKit does not choose, and refuses it."
    if all(map(question.is_ours, ids)):
        return Check(TRUNK, State.BAD, says, "The operator removes the one that is too many; see status.findings.")
    foreign = next(each for each in ids if not question.is_ours(each))
    remedy = f"Remove the number from trunk {printable(foreign, _MOST_SHOWN)}, or delete that trunk: {_ASK_THE_OWNER}."
    return Check(TRUNK, State.BAD, says, remedy)


def _trunk_check(question: Question, trunk: InboundTrunk | None) -> Check:
    if trunk is not None and question.is_ours(trunk.id):
        any_source = "" if question.call.source else ", if the carrier's address is allowed (no address was given)"
        return Check(TRUNK, State.OK, f"Inbound trunk {question.named(trunk.id)} takes the call{any_source}.")
    ours = next(iter(sorted(question.owned.inbound, key=lambda each: each.id)), None)
    stop = _no_trunk_of_ours() if ours is None else _stopped(question, ours)
    if trunk is None:
        return stop
    scope = "" if trunk.numbers else ", which has no numbers and takes what no other trunk takes,"
    return Check(TRUNK, State.BAD, f"{stop.says} Inbound trunk {question.named(trunk.id)}{scope} gets it.", stop.remedy)


def _no_trunk_of_ours() -> Check:
    says = "LiveKit has no inbound trunk of this number."
    return Check(TRUNK, State.BAD, says, "Set spec.inboundAgentId if there is none; else see the condition Ready.")


def _stopped(question: Question, ours: InboundTrunk) -> Check:
    """Why our trunk does not take the call."""
    call, trunk = question.call, question.named(ours.id)
    why = trunk_filter(ours, call)
    match why:
        case Filter.NUMBER:
            return _other_number(question, ours)
        case Filter.CALLER:
            caller = printable(call.caller, _MOST_SHOWN) or "A caller without a number"
            says = f"{caller} is none of the allowed callers of inbound trunk {trunk}."
            return Check(TRUNK, State.BAD, says, "Add the caller to spec.inbound.allowedCallers, or remove that list.")
        case Filter.ADDRESS:
            allowed = _listed(ours.allowed_addresses)
            says = f"{printable(call.source, _MOST_SHOWN)} is in none of the allowed addresses of inbound trunk {trunk}"
            remedy = (
                "If the carrier calls from there, put that address and all others of the carrier into "
                "spec.inbound.allowedAddresses."
            )
            return Check(TRUNK, State.BAD, f"{says}: {allowed}.", remedy)
        case Filter.PIN | Filter.TRUNK | None:
            # A trunk with numbers that takes the call is preferred, so that this is a trunk of ours without numbers.
            says = f"Inbound trunk {trunk} has not the number {question.phone_number}."
            return Check(TRUNK, State.BAD, says, "The operator writes the number back; see the condition Synced.")
        case _:
            assert_never(why)


def _other_number(question: Question, ours: InboundTrunk) -> Check:
    number, called = question.phone_number, printable(question.call.called, _MOST_SHOWN) or "(empty)"
    if normalised(question.call.called) == normalised(number):
        says = f"Inbound trunk {question.named(ours.id)} has not the number {number}, but {_listed(ours.numbers)}."
        return Check(TRUNK, State.BAD, says, "The operator writes the number back; see the condition Synced.")
    says = f"The called number {called} is another number to LiveKit than {number}: {_difference(question)}."
    remedy = f"Let the carrier send the called number as {number}: its setting for the number format is often +E.164."
    if grammar.matches(grammar.ALIAS, question.call.called):
        remedy += f" Or add '{question.call.called}' to spec.inbound.aliases."
    return Check(TRUNK, State.BAD, says, remedy)


def _difference(question: Question) -> str:
    """What is different in how the carrier spells the number."""
    called, number = question.call.called, question.phone_number.removeprefix("+")
    digits = "".join(each for each in called[:_MOST_SHOWN] if each in "0123456789")
    if digits == number:
        return "only blanks, dashes, round brackets and one plus at the beginning are dropped"
    if digits in {f"00{number}", f"011{number}"}:
        return "an international prefix stands in place of the plus"
    national = digits.lstrip("0")
    if len(national) >= _SHORTEST_NATIONAL and len(national) < len(number) and number.endswith(national):
        return "the country code is missing"
    return "the digits are others"


def _rule_check(question: Question, judgement: Judgement) -> Check:
    if judgement.contradict:
        return _rules_contradict(question, judgement.contradict)
    rule = judgement.rule
    if rule is None:
        return _no_rule(question, judgement.trunk)
    if question.is_ours(rule.id) and judgement.result is Result.ACCEPTED:
        agent = printable(rule.agent_name, _MOST_SHOWN)
        return Check(RULE, State.OK, f"Dispatch rule {rule.id} brings the call to agent {agent}.")
    named, takes = question.named(rule.id), "takes the call"
    if judgement.result is Result.ASKED_FOR_PIN:
        takes = "asks the caller for a PIN"
    scope = "" if rule.trunk_ids else ", which names no trunk and is for calls of all,"
    remedy = f"Limit rule {printable(rule.id, _MOST_SHOWN)} to other trunks or numbers, or delete it: {_ASK_THE_OWNER}."
    if question.is_ours(rule.id):
        remedy = "The operator writes the rule back; see the condition Synced."
    return Check(RULE, State.BAD, f"Dispatch rule {named}{scope} {takes}.", remedy)


def _rules_contradict(question: Question, ids: tuple[str, ...]) -> Check:
    one, other = map(question.named, ids)
    foreign = [printable(each, _MOST_SHOWN) for each in dict.fromkeys(ids) if not question.is_ours(each)]
    remedy = "The operator repairs its rule; see the condition Synced."
    if foreign:
        remedy = f"Change or delete rule {' or '.join(foreign)}: {_ASK_THE_OWNER}."
    if ids[0] != ids[1]:
        says = (
            f"Dispatch rules {one} and {other} are for the same calls: LiveKit does not choose, and refuses the call."
        )
        return Check(RULE, State.BAD, says, remedy)
    forms = {rule.id: rule.selection.form for rule in question.rules}
    what = "has a form that LiveKit does not know" if forms.get(ids[0]) is RoomForm.UNKNOWN else "names one thing twice"
    return Check(RULE, State.BAD, f"Dispatch rule {one} {what}: LiveKit refuses the call.", remedy)


def _no_rule(question: Question, trunk: InboundTrunk | None) -> Check:
    """No rule is for the call: why not ours."""
    ours = next(iter(sorted(question.owned.rules, key=lambda each: each.id)), None)
    if ours is None:
        says = "LiveKit has no dispatch rule of this number, and drops the call."
        return Check(RULE, State.BAD, says, "Set spec.inboundAgentId if there is none; else see the condition Ready.")
    repaired = "The operator writes the rule back; see the condition Synced."
    named, why = question.named(ours.id), rule_filter(ours, trunk, question.call)
    if why is Filter.TRUNK:
        if trunk is None:
            says = f"Dispatch rule {named} is for calls over our trunk only, and no trunk takes this one."
            return Check(RULE, State.BAD, says, "Repair what stops the call at the trunk.")
        says = f"Dispatch rule {named} does not name inbound trunk {question.named(trunk.id)}."
        return Check(RULE, State.BAD, says, repaired if question.is_ours(trunk.id) else "Repair the trunk first.")
    limits = {
        Filter.CALLER: "other callers",
        Filter.NUMBER: "other called numbers",
        Filter.PIN: "callers without a PIN",
    }
    limit = "other calls" if why is None else limits[why]
    return Check(RULE, State.BAD, f"Dispatch rule {named} is for {limit} only.", repaired)


def _digest_check(question: Question, trunk: InboundTrunk) -> Check:
    says = (
        f"LiveKit answers the call with a challenge (407), as inbound trunk {question.named(trunk.id)} has a user name"
    )
    carrier = question.preset.carrier
    if not question.preset.answers_challenge:
        remedy = "Remove spec.inbound.authentication, or set carrier: Generic if the calls come from another product."
        return Check(DIGEST, State.BAD, f"{says}; trunks of {carrier} give up then.", remedy)
    secret = f"Secret {question.secret}" if question.secret else "the number's Secret"
    remedy = f"Enter user name and password of {secret} at the carrier, for the calls that it sends to us."
    return Check(DIGEST, State.UNKNOWN, f"{says}; only a call shows whether the carrier knows the answer.", remedy)


def _listed(texts: Sequence[str]) -> str:
    """The first few texts, and how many more there are."""
    shown = ", ".join(printable(each, _MOST_SHOWN) for each in texts[:_MOST_LISTED])
    more = len(texts) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown or "none"
