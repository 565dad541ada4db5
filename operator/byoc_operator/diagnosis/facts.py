"""What is known of one number and of what stands around it, as `kubectl byoc doctor` has read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..core.credentials import SecretFacts
from ..core.desired import Installation
from ..core.matching import Call
from ..core.trunk import SipObject
from .check import Check


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that could not be read. `why`: a few words."""

    why: str


def told_together(unknown: Mapping[str, str]) -> str:
    """What could not be read, and why, in one sentence: each reason once, behind all that it is the reason of."""
    by_reason: dict[str, list[str]] = {}
    for what, why in unknown.items():
        by_reason.setdefault(why, []).append(what)
    return "; ".join(f"{', '.join(several)}: {why}" for why, several in by_reason.items())


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """A Secret that the number names. `facts`: None if there is no such Secret.

    `sealed_unknown`: why it is not known whether a sealed value opens, empty if that is known.
    """

    facts: SecretFacts | None
    sealed_unknown: str = ""


@dataclass(frozen=True, slots=True)
class OperatorSeen:
    """The operator. None: it could not be read, and `unknown` says why.

    `deployment`: its name, empty if there is none; `replicas`: how many pods are wanted. `waiting`: why a container
    does not run, empty if all do. `leader`: who holds the Lease, empty if nobody does. `renewed_s`, `swept_s`: seconds
    since the Lease was renewed, and since the last good sweep; `sweeps_every_s`: how often it sweeps. `problems`: what
    its own /readyz says. `watches`: whether it looks after the number's namespace.
    """

    namespace: str
    deployment: str | None = None
    replicas: int = 1
    ready_pods: int | None = None
    waiting: str = ""
    lease: str = "byoc-operator"
    leader: str | None = None
    renewed_s: float | None = None
    swept_s: float | None = None
    sweeps_every_s: float = 300.0
    watches: bool | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)

    def why_unknown(self) -> str:
        """What cannot be read, in words."""
        return told_together(self.unknown) or "it could not be read"


@dataclass(frozen=True, slots=True)
class LiveKitSeen:
    """LiveKit as it answers here. `host`: of its URL; `source`: where the key comes from, in words.

    `problem`: why it has not told its lists, None if it has. `inside`: whether its URL has a meaning in the cluster
    only. `too_old`: what is missing in its version, empty if nothing is. `unreadable`: objects that nobody can read.
    `same`: whether its URL is the operator's; `operators`: host and port of the operator's, empty if not known.
    """

    host: str
    source: str
    objects: tuple[SipObject, ...] = ()
    problem: Verdict | None = None
    inside: bool = False
    too_old: str = ""
    unreadable: int = 0
    same: bool = True
    operators: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was read. `where`: what was asked for; `absent`: why there is no object, if there is none.

    `secrets`: those that the number names, by name. `numbers`: the objects that may have a claim to the number.
    `network`: the checks of the termination host and of our SIP endpoint. `call`: the call that is asked about.
    """

    where: str
    number: PhoneNumber | None
    operator: OperatorSeen
    now_s: float
    absent: str = ""
    secrets: Mapping[str, SecretSeen | Unseen] = field(default_factory=dict)
    installation: Installation | Unseen = Unseen("the operator's settings could not be read")
    livekit: LiveKitSeen | Unseen = Unseen("nobody has asked it")
    numbers: tuple[PhoneNumber, ...] | Unseen = ()
    network: tuple[Check, ...] = ()
    call: Call = field(default_factory=lambda: Call(""))
