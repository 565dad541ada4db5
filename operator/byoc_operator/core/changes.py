"""Planned changes in words and field paths, and with the texts of the credentials that they write."""

from dataclasses import replace

from .credentials import Credentials
from .plan import Change, Create, Delete, Remark, Replace
from .trunk import DispatchRule, InboundTrunk, Masked, OutboundTrunk, SipObject, kind_of


def verbs(changes: tuple[Change, ...]) -> list[str]:
    """What is done, for people: `create the outboundTrunk`, `replace the inboundTrunk (inboundTrunk.name)`."""
    told: list[str] = []
    for change in changes:
        match change:
            case Create(wanted):
                told.append(f"create the {kind_of(wanted)}")
            case Replace(wanted, fields):
                told.append(f"replace the {kind_of(wanted)}" + (f" ({', '.join(fields)})" if fields else ""))
            case Delete(kind, id):
                told.append(f"delete the {kind} {id}")
            case Remark(kind, id):
                told.append(f"mark the {kind} {id}")
    return told


def paths(changes: tuple[Change, ...]) -> tuple[str, ...]:
    """The field paths that changes touch, never values: `outboundTrunk.address`, a whole object by its kind."""
    found: list[str] = []
    for change in changes:
        match change:
            case Create(wanted):
                found.append(str(kind_of(wanted)))
            case Replace(wanted, fields):
                found += fields or (str(kind_of(wanted)),)
            case Delete(kind, _):
                found.append(str(kind))
            case Remark(kind, _):
                found.append(f"{kind}.metadata")
    return tuple(dict.fromkeys(found))


def with_texts(changes: tuple[Change, ...], credentials: Credentials) -> tuple[Change, ...]:
    """The same changes, ready to be written: each digest of these credentials gets its text."""
    texts = {each.digest: each for each in (credentials.username, credentials.password)}
    return tuple(
        replace(change, wanted=_with_texts(change.wanted, texts)) if isinstance(change, Create | Replace) else change
        for change in changes
    )


def _with_texts(wanted: SipObject, texts: dict[str, Masked]) -> SipObject:
    def full(masked: Masked | None) -> Masked | None:
        return texts.get(masked.digest, masked) if masked else None

    match wanted:
        case OutboundTrunk():
            headers = {
                name: texts.get(value.digest, value) if isinstance(value, Masked) else value
                for name, value in wanted.headers.items()
            }
            return replace(wanted, username=full(wanted.username), password=full(wanted.password), headers=headers)
        case InboundTrunk():
            return replace(wanted, username=full(wanted.username), password=full(wanted.password))
        case DispatchRule():
            return wanted
