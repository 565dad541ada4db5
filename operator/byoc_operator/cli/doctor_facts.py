"""Reads what `kubectl byoc doctor` judges: the cluster, LiveKit and the network. What cannot be read fails nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..api.names import GROUP, PLURAL, VERSION
from ..api.resource import Key, PhoneNumber, parse
from ..api.secret_references import secret_names
from ..api.termination_hosts import refused_host
from ..cluster.answers import NotFound
from ..core.claims import holds_by_status
from ..core.desired import Installation
from ..core.matching import Call
from ..core.snapshot import Snapshot
from ..core.trunk import Mask
from ..diagnosis.check import Check
from ..diagnosis.facts import Facts, LiveKitSeen, SecretSeen, Unseen
from ..diagnosis.network import look_at
from ..diagnosis.target import own_target, termination_target
from ..errors import CannotRun, OperatorError
from .cluster import Cluster, Scope
from .doctor_livekit import livekit_seen
from .doctor_operator import operator_seen, sweep_age
from .exit_codes import Refused
from .livekit_access import NoLiveKit, livekit_access
from .naming import NUMBER, named
from .number_secrets import SecretRead, SecretReader
from .operator_finder import INSTALLATION, Operator, operator_of, why_not
from .options import Target
from .surroundings import with_users_url
from .terminal import tell

MOST_MARKED = 50
"""Objects that are looked at because their marks are on trunks with the number. Whoever may write to LiveKit can make
any number of such trunks, and each costs a request."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was read. `sip_addresses`: the setting BYOC_SIP_ADDRESSES."""

    facts: Facts
    operator: Operator
    sip_addresses: tuple[str, ...] = ()


async def look(target: Target, cluster: Cluster, name: str, call: Call, mask: Mask) -> Looked:
    """Read everything. Raises OperatorError if the object itself cannot be read, though it may be there."""
    number, absent = await _number(cluster, name)
    operator = await operator_of(cluster, target.operator_namespace)
    installation = _installation(with_users_url(operator, target))
    livekit, network, secrets, swept_s = await asyncio.gather(
        _livekit(target, cluster, operator, mask),
        _network(target, number, installation),
        _secrets(target, cluster, number, installation, mask),
        sweep_age(cluster, operator, target.outside.clock()),
    )
    facts = Facts(
        where=name if name.startswith("+") else f"{cluster.namespace}/{name}",
        number=number,
        operator=operator_seen(operator, number, swept_s, target.outside.clock()),
        now_s=target.outside.clock(),
        absent=absent,
        secrets=secrets,
        installation=installation,
        livekit=livekit,
        numbers=await _claimants(target, cluster, number, livekit),
        network=network,
        call=call,
    )
    addresses = (operator.settings or {}).get("BYOC_SIP_ADDRESSES", "").split(",")
    return Looked(facts, operator, tuple(each.strip() for each in addresses if each.strip()))


async def _number(cluster: Cluster, name: str) -> tuple[PhoneNumber | None, str]:
    """The object, or why there is none."""
    if not name.startswith("+"):
        named("NAME", name, NUMBER)
        try:
            return await cluster.number(Key(cluster.namespace, name)), ""
        except Refused as exc:
            if isinstance(exc.__cause__, NotFound):
                return None, f"There is no ByocPhoneNumber {cluster.namespace}/{name}."
            raise
    found = await cluster.called(name)
    if not found:
        told = cluster.scope.nowhere(f"ByocPhoneNumber {name}")
        return None, f"{told[0].upper()}{told[1:]}."
    found.sort(key=lambda each: (not holds_by_status(each), each.created_at, each.uid))
    if len(found) > 1:
        rest = ", ".join(str(each.key) for each in found[1:4])
        tell(f"{len(found)} objects have the number {name}; this is {found[0].key}, beside {rest}")
    return found[0], ""


def _installation(operator: Operator) -> Installation | Unseen:
    try:
        found = operator.installation()
    except CannotRun as exc:
        return Unseen(f"a setting of the operator is wrong ({exc.message})")
    if found is not None:
        return found
    return Unseen(operator.why_unknown(INSTALLATION) or "the operator's settings could not be read")


async def _livekit(target: Target, cluster: Cluster, operator: Operator, mask: Mask) -> LiveKitSeen | Unseen:
    access = await livekit_access(cluster, operator, target.livekit_key_file, target.outside.environ)
    if isinstance(access, NoLiveKit):
        return Unseen(access.why)
    return await livekit_seen(access, mask, target.outside.livekit, operator.livekit_url)


async def _secrets(
    target: Target, cluster: Cluster, number: PhoneNumber | None, installation: Installation | Unseen, mask: Mask
) -> dict[str, SecretSeen | Unseen]:
    """The Secrets that the number uses, or names if its spec is invalid, by name."""
    if number is None:
        return {}
    names = secret_names(number.spec) if number.spec else number.secret_names
    labelled_only = isinstance(installation, Installation) and installation.secret_rules.labelled_only
    reader = SecretReader(cluster, target.operator_namespace, mask, labelled_only=labelled_only)
    return {name: _seen(await reader.read(number.key.namespace, name)) for name in names}


def _seen(read: SecretRead) -> SecretSeen | Unseen:
    return Unseen(read.unread) if read.unread else SecretSeen(read.facts, read.unopened if read.keys_unread else "")


async def _claimants(
    target: Target, cluster: Cluster, number: PhoneNumber | None, livekit: LiveKitSeen | Unseen
) -> tuple[PhoneNumber, ...] | Unseen:
    """The objects of the cluster that may have a claim to the number or to an alias of it.

    Those are the objects with that number, and those whose mark is on a trunk with it.
    """
    if number is None:
        return ()
    everywhere = Cluster(cluster.api, Scope(cluster.namespace, everywhere=True), target.access.timeout_s)
    try:
        found: dict[Key, PhoneNumber] = {}
        for phone in (number.phone_number, *number.aliases):
            found |= {each.key: each async for each in everywhere.numbers(f"spec.phoneNumber={phone}")}
        found |= {number.key: number}
        marked = [key for key in _marked(number, livekit) if key not in found]
        if len(marked) > MOST_MARKED:
            return Unseen(f"more than {MOST_MARKED} objects have marks on trunks with the number or an alias")
        for key in marked:
            path = f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"
            raw = await cluster.optional(path, PLURAL)
            if raw is not None:
                found[key] = parse(raw)
    except OperatorError as exc:
        return Unseen(f"objects of other namespaces cannot be looked at: {why_not(exc)}")
    return tuple(found.values())


def _marked(number: PhoneNumber, livekit: LiveKitSeen | Unseen) -> Sequence[Key]:
    if isinstance(livekit, Unseen):
        return ()
    snapshot = Snapshot.holding(livekit.objects)
    owners = (owner for phone in (number.phone_number, *number.aliases) for owner in snapshot.owners_with(phone))
    return list(dict.fromkeys(Key(owner.namespace, owner.name) for owner in owners))


async def _network(
    target: Target, number: PhoneNumber | None, installation: Installation | Unseen
) -> tuple[Check, ...]:
    """The checks of the termination host, and of our own endpoint if the number takes calls.

    A host that the operator's settings refuse is not looked at: LiveKit does not get it either.
    """
    spec = number.spec if number else None
    if spec is None:
        return ()
    transport = str(spec.transport)
    targets, network = [termination_target(spec.termination_uri, transport)], target.outside.network()
    if isinstance(installation, Installation):
        own = own_target(installation.sip_uri, transport)
        network = replace(network, local=own is not None and own.is_loopback)
        if refused_host(spec, installation.termination_hosts) is not None:
            targets.clear()
        if spec.inbound_agent_id:
            targets.append(own)
    looks = await asyncio.gather(*(look_at(each, network) for each in targets if each is not None))
    return tuple(check for checks in looks for check in checks)
