"""Reads a YAML text that a person wrote, and knows the line of each value.

Only what a plain settings file needs: maps with texts as keys, lists, texts, true and false. No anchors, aliases and
tags, so that a small text stays a small value. A number is the text that stands there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import yaml

Path = tuple[str | int, ...]
"""Where a value is: keys of maps and indexes of lists, from the outside in."""

_BOOL: Final = "tag:yaml.org,2002:bool"
_NULL: Final = "tag:yaml.org,2002:null"
_NAMES: Final = ("str", "int", "float", "timestamp", "value", "map", "seq")
_PLAIN: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in _NAMES)
_TRUE: Final = frozenset({"true", "yes", "on"})

MAX_DEPTH: Final = 8
MAX_VALUES: Final = 20_000
"""Bounds of a text: how deep its lists and maps go, and how many values it has."""


class WrongYaml(ValueError):
    """A text that cannot be read. `line`: counted from 1. The message says what is wrong or allowed."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """`value`: maps, lists, texts, bools and None. `lines`: by path, the line in which a key or a list item stands."""

    value: object
    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of a value; of what contains it if the value is not there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str) -> Document:
    """The value of a text. Raises WrongYaml."""
    loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_bounds(text, loader)
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise WrongYaml(line, f"is no YAML: {exc.problem}") from None
    except yaml.reader.ReaderError as exc:
        raise WrongYaml(_line_at(text, exc.position), "has a character that YAML does not allow") from None
    lines: dict[Path, int] = {}
    return Document(None if root is None else _value(root, (), lines), lines)


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _check_bounds(text: str, loader: type[yaml.SafeLoader]) -> None:
    """Raises WrongYaml for anchors, aliases and for texts beyond the bounds. Nothing is built before this."""
    depth = values = 0
    for event in yaml.parse(text, Loader=loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise WrongYaml(line, "must not have anchors (&) and aliases (*); write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        values += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if depth > MAX_DEPTH:
            raise WrongYaml(line, f"must not be deeper than {MAX_DEPTH} lists and maps")
        if values > MAX_VALUES:
            raise WrongYaml(line, f"must not have more than {MAX_VALUES} values")


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> object:
    lines.setdefault(path, node.start_mark.line + 1)
    match node:
        case yaml.MappingNode():
            return {key: _value(value, (*path, key), lines) for key, value in _entries(node, path, lines)}
        case yaml.SequenceNode():
            return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return str(node.value).lower() in _TRUE
    _check_tag(node)
    return str(node.value)


def _entries(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> Iterator[tuple[str, yaml.Node]]:
    _check_tag(node)
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag not in _PLAIN:
            raise WrongYaml(line, "must have texts as keys")
        name = str(key.value)
        if (*path, name) in lines:
            raise WrongYaml(line, f"has the key {name[:64]} twice")
        lines[(*path, name)] = line
        yield name, value


def _check_tag(node: yaml.Node) -> None:
    if node.tag not in _PLAIN:
        raise WrongYaml(node.start_mark.line + 1, "must not have YAML tags (!)")
