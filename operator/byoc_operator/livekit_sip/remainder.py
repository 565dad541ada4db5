"""Divides a LiveKit message into the parts that our value has and the remainder, which a replace may carry over.

The remainder is what a `ByocPhoneNumber` has no field for, at every depth. Fields that our version of the protocol does
not have belong to it: protobuf keeps their bytes.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from .wire import fields_of

UNKNOWN = "unknown"
"""Stands for fields that our version of the protocol does not have."""

_KEYS: Mapping[str, str] = {"livekit.RoomAgentDispatch": "agent_name"}
"""For messages that are entries of a list: the field that says which entry of another list is the same one."""

_SHORTEST_TEXT = 4
"""Characters of a text that is masked. To mask shorter ones would make messages unreadable."""

_DEEPEST = 8
"""How many messages inside each other are searched for texts; LiveKit's objects have six."""

_Tree = dict[str, Any]
"""The parts of a message: the name of a field, and the tree of its own parts; None for the whole field."""

_Info = TypeVar("_Info", bound=Message)


@dataclass(frozen=True, slots=True)
class Remainder:
    """What LiveKit has on one object beside the parts that our value has. It lives only for one replace.

    `settings`: the paths, see `core.trunk.UnknownFields`. `message`: the content, None in the fake. It may have
    credentials, such as the key of a storage, so nothing may show it.
    """

    settings: tuple[str, ...] = ()
    message: Message | None = field(default=None, repr=False)

    def texts(self) -> Iterator[str]:
        """Every text in it, also in fields that we do not know. Error messages must not quote them."""
        if self.message is not None:
            yield from _texts(memoryview(self.message.SerializeToString()), _DEEPEST)


class Parts:
    """The parts of one kind of message that our value has. `paths`: with dots, such as `media.encryption`.

    An entry of a list of messages belongs to the entry with the same key (`_KEYS`). Raises KeyError for an unknown
    field, and for a part of an entry without a key.
    """

    def __init__(self, of: type[Message], paths: Iterable[str]) -> None:
        self._tree: _Tree = {}
        for path in paths:
            _plant(self._tree, of.DESCRIPTOR, path)

    def settings(self, info: Message) -> tuple[str, ...]:
        """The paths of the remainder of a message, sorted. None has a key of a map or any other value."""
        found: set[str] = set()
        _name(info, self._tree, "", found)
        return tuple(sorted(map(sys.intern, found)))  # thousands of objects may have the same paths

    def own(self, info: _Info) -> _Info:
        """A copy of a message without its remainder."""
        return _own(info, self._tree)

    def remainder(self, info: Message) -> Remainder:
        """The remainder of a message."""
        rest = type(info)()
        rest.CopyFrom(info)
        _prune(rest, self._tree)
        return Remainder(self.settings(info), rest)

    def carry_over(self, remainder: Remainder, info: Message) -> None:
        """Add the remainder of an object to the message that replaces it.

        The remainder of an entry of a list is dropped if the message has no entry with its key.
        """
        if remainder.message is None:
            return
        rest = type(info)()
        rest.CopyFrom(remainder.message)
        _give_to_entries(rest, info, self._tree)
        info.MergeFrom(rest)


def _plant(tree: _Tree, of: Any, path: str) -> None:
    """Add a path to a tree. `of`: the descriptor of the message. A whole field comprises its parts."""
    name, _, below = path.partition(".")
    found = of.fields_by_name[name]
    if not below:
        tree[name] = None
        return
    if found.is_repeated:
        _key(found)
    if tree.setdefault(name, {}) is not None:
        _plant(tree[name], found.message_type, below)


def _key(entries: Any) -> str:
    """The key of the entries of a list. `entries`: the descriptor of the list."""
    return _KEYS[entries.message_type.full_name]


def _name(message: Message, tree: _Tree, above: str, found: set[str]) -> None:
    """Add the paths of the remainder of a message to a set."""
    for descriptor, value in message.ListFields():
        name = descriptor.name
        if name not in tree:
            found.add(above + name)
        elif tree[name] is not None:
            for each in value if descriptor.is_repeated else (value,):
                _name(each, tree[name], f"{above}{name}.", found)
    if len(UnknownFieldSet(message)):
        found.add(above + UNKNOWN)


def _own(message: _Info, tree: _Tree) -> _Info:
    made = type(message)()
    for descriptor, value in message.ListFields():
        name = descriptor.name
        if name not in tree:
            continue
        below = tree[name]
        if descriptor.is_repeated:
            if below is None:
                getattr(made, name).MergeFrom(value)
            else:
                getattr(made, name).extend(_own(each, below) for each in value)
        elif descriptor.message_type is not None:
            getattr(made, name).CopyFrom(value if below is None else _own(value, below))
        else:
            setattr(made, name, value)
    return made


def _prune(message: Message, tree: _Tree) -> None:
    """Take the parts out of a message; an entry of a list keeps its key."""
    for name, below in tree.items():
        descriptor = message.DESCRIPTOR.fields_by_name[name]
        if below is None:
            message.ClearField(name)
        elif descriptor.is_repeated:
            _prune_entries(getattr(message, name), below, _key(descriptor))
        elif message.HasField(name):
            part = getattr(message, name)
            _prune(part, below)
            if not _has_any(part):
                message.ClearField(name)


def _prune_entries(entries: Any, tree: _Tree, key: str) -> None:
    """Leave only the entries with a remainder, each key once."""
    kept: dict[str, Message] = {}
    for entry in entries:
        of = getattr(entry, key)
        _prune(entry, tree)
        if _has_any(entry) and of not in kept:
            setattr(entry, key, of)
            kept[of] = type(entry)()
            kept[of].CopyFrom(entry)
    del entries[:]
    entries.extend(kept.values())


def _has_any(message: Message) -> bool:
    return bool(message.ListFields()) or len(UnknownFieldSet(message)) > 0


def _give_to_entries(rest: Message, info: Message, tree: _Tree) -> None:
    """Move what belongs to an entry of a list from `rest` to the entry of `info` with its key."""
    for name, below in tree.items():
        if below is None:
            continue
        descriptor = info.DESCRIPTOR.fields_by_name[name]
        if not descriptor.is_repeated:
            if rest.HasField(name):
                _give_to_entries(getattr(rest, name), getattr(info, name), below)
            continue
        key = _key(descriptor)
        by_key = {getattr(each, key): each for each in getattr(rest, name)}
        for entry in getattr(info, name):
            given = by_key.pop(getattr(entry, key), None)
            if given is not None:
                entry.MergeFrom(given)
        rest.ClearField(name)


def _texts(content: memoryview, depth: int) -> Iterator[str]:
    """The texts in the bytes of a message. What is both a text and a message counts as both."""
    try:
        for _, _, part in fields_of(content):
            try:
                text = bytes(part).decode()
            except UnicodeDecodeError:
                text = ""
            if len(text) >= _SHORTEST_TEXT:
                yield text
            if depth:
                yield from _texts(part, depth - 1)
    except DecodeError:
        return
