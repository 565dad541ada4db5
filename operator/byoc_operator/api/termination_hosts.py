"""The setting `BYOC_TERMINATION_HOSTS`: which termination hosts an object may name."""

from .carriers import host_of
from .conditions import Reason, Verdict
from .grammar import canonical_host
from .resource import PhoneNumber
from .schema import PhoneNumberSpec


def refused_host(spec: PhoneNumberSpec, allowed: tuple[str, ...]) -> Verdict | None:
    """The verdict if the settings do not allow the termination host, else None. `allowed`: empty allows every host."""
    host = canonical_host(host_of(spec.termination_uri))
    suffixes = tuple(canonical_host(suffix.removeprefix("*.").removeprefix(".")) for suffix in allowed)
    if not suffixes or any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes):
        return None
    message = f"spec.terminationUri: host {host} is not allowed by this operator; allowed: {', '.join(suffixes)}"
    return Verdict(Reason.INVALID_SPEC, message)


def trunk_of_refused_host(number: PhoneNumber, *, removes: bool) -> str:
    """What the verdict says of the outbound trunk of a number whose host is refused.

    `removes`: whether the operator removes that trunk (`BYOC_REFUSED_HOSTS=Remove`).
    """
    if removes and not number.observes:
        return "; BYOC_REFUSED_HOSTS is Remove, so the number has no outbound trunk"
    trunk = number.status.ids.outbound
    if not trunk:
        return ""
    return (
        f"; the outbound trunk {trunk} from before stays in LiveKit as it is, until spec.terminationUri names an "
        "allowed host, the object is deleted, or the operator runs with BYOC_REFUSED_HOSTS=Remove"
    )
