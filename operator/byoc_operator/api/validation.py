"""Parses the spec of an object, or lists its mistakes in the words of the CRD.

The API server makes the same checks when an object is written, all but one: it cannot add up the bytes of texts. The
operator repeats them, because an object may be older than a rule of the CRD.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from .openapi import Schema, spec_schema
from .rule import Rule
from .rule_size import oversized_rule
from .rules import RULES
from .schema import PhoneNumberSpec
from .structural import Problem, violations


def parse_spec(raw: object) -> PhoneNumberSpec | tuple[Problem, ...]:
    """The spec, or its mistakes. Never raises for a value that JSON can express.

    A spec that only breaks rules with `kept` is returned as a spec.
    """
    found = problems(raw, stored=True)
    if found:
        return found
    return PhoneNumberSpec.model_validate(_without_nulls(raw))


def problems(raw: object, *, stored: bool = False) -> tuple[Problem, ...]:
    """The mistakes of a raw spec, empty if there are none. `stored`: whether to skip the rules with `kept`.

    The rules rely on types and sizes, so they are checked only when types and sizes are right.
    """
    misfits = tuple(violations(_schema(), raw, "spec"))
    if misfits:
        return misfits
    rules = [rule for rule in RULES if rule.holds is not None and not (stored and rule.kept)]
    spec = _without_nulls(raw)
    return tuple(_broken_rules(spec, rules)) or oversized_rule(spec)


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
    """The path and value of each value at a rule's node; nothing if the spec has none there."""
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
