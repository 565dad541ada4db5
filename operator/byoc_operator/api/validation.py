"""Parses a spec out of the cluster, or says what is wrong with it in the words of the CRD.

The API server has done the same when the object was written; an object may be older than the CRD, though.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from .openapi import Schema, spec_schema
from .rule import Rule
from .rules import RULES
from .schema import PhoneNumberSpec
from .structural import Problem, violations


def parse_spec(raw: object) -> PhoneNumberSpec | tuple[Problem, ...]:
    """The spec, or the problems that keep it from being one. Never raises on values that JSON can express.

    What only breaks rules whose old objects are `kept` is a spec.
    """
    found = problems(raw, stored=True)
    if found:
        return found
    return PhoneNumberSpec.model_validate(_without_nulls(raw))


def problems(raw: object, *, stored: bool = False) -> tuple[Problem, ...]:
    """What is wrong with a raw spec, empty if nothing is. `stored`: without rules whose old objects are `kept`.

    Rules are tried only when types and sizes are right: they rely on them.
    """
    misfits = tuple(violations(_schema(), raw, "spec"))
    if misfits:
        return misfits
    rules = [rule for rule in RULES if rule.holds is not None and not (stored and rule.kept)]
    return tuple(_broken_rules(_without_nulls(raw), rules))


@cache
def _schema() -> Schema:
    return spec_schema()


def _without_nulls(value: Any) -> Any:
    """The value without null entries in objects, which the API server drops too."""
    match value:
        case Mapping():
            return {key: _without_nulls(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_without_nulls(item) for item in value]
    return value


def _broken_rules(spec: Mapping[str, Any], rules: Iterable[Rule]) -> Iterator[Problem]:
    for rule in rules:
        for path, value in _values_at(spec, rule.node):
            if rule.holds is not None and not rule.holds(value):
                field = f"{path}.{rule.field}" if rule.field else path
                yield Problem(field, rule.message + rule.hint(value))


def _values_at(spec: Mapping[str, Any], node: str) -> Iterator[tuple[str, Any]]:
    """Path and value of each value at a rule's node; nothing where it is absent."""
    value: Any = spec
    names = node.removesuffix("[]").split(".") if node else []
    for name in names:
        if name not in value:
            return
        value = value[name]
    path = ".".join(("spec", *names))
    if not node.endswith("[]"):
        yield path, value
        return
    for index, item in enumerate(value):
        yield f"{path}[{index}]", item
