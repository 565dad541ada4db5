"""A rule for the spec: one CEL expression, one Python predicate, one form for the chart of the numbers, one message.

The API server evaluates the CEL, the operator calls the predicate, and the chart's templates check the form. Tests
check that all three accept the same values. `pattern_rule` makes all three from one pattern.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .characters import named, named_cel, re2
from .grammar import matches

OFFENDERS = "; wrong: "


def no_hint(_value: Any) -> str:
    """The hint of rules that have none."""
    return ""


@dataclass(frozen=True, slots=True)
class TextForm:
    """A text fits when it matches every pattern of `all` and none of `none`, and has at most `max_bytes` bytes.

    A pattern may match any part of the text; `whole` makes one for the whole text.
    """

    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """A list fits when it has an entry."""


@dataclass(frozen=True, slots=True)
class Entries:
    """A map fits when each of its keys and each of its values fits; None: every key or value fits."""

    keys: TextForm | None = None
    values: TextForm | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """Fields that must fit together. The chart has a template for each such rule, which `name` selects.

    `patterns` and `names`: values that the template needs, by the names that the template uses.
    """

    name: str
    patterns: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transition:
    """A comparison with the object before the change. A chart does not know that object, so it does not check this."""


Form = TextForm | NotEmpty | Entries | Together | Transition


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `node`: where the value stands under `spec`, "" for the spec itself, `[]` for each entry of a list.
    `cel`: expression over `self`. `holds`: the same in Python, for values whose types fit the schema; None for a
    transition rule, which a single object cannot break. `form`: the same for the chart of the numbers.
    `field`: the field that the refusal names if it is not the node itself, relative to the node.
    `reason`: the reason of the API server's refusal; empty for the default, FieldValueInvalid.
    `kept`: whether the operator uses an object that was stored before this rule and breaks it.
    `hint`: text that is appended to the message, made from the value. `message_cel`: CEL for message and hint together.
    `names_characters`: whether the hint names the code point of an invisible character.
    `chart_hint`: the template of the chart that makes the hint.
    """

    node: str
    message: str
    cel: str
    holds: Callable[[Any], bool] | None
    form: Form
    field: str = ""
    reason: str = ""
    message_cel: str = ""
    hint: Callable[[Any], str] = no_hint
    kept: bool = False
    names_characters: bool = False
    chart_hint: str = ""


def cel_text(text: str) -> str:
    """A text as a CEL string literal, raw if it has a backslash. Raises ValueError for a quote or a line break."""
    if '"' in text or "\n" in text:
        raise ValueError(f"cannot be quoted: {text}")
    return f'r"{text}"' if "\\" in text else f'"{text}"'


def whole(pattern: str) -> str:
    """A pattern for the whole text."""
    return f"^(?:{pattern})$"


def fits_cel(pattern: str, subject: str = "self") -> str:
    """CEL: the whole subject matches the pattern (CEL's `matches` alone accepts a match of a part)."""
    return f"{subject}.matches({cel_text(re2(whole(pattern)))})"


def has_any(characters: str, subject: str = "self") -> str:
    """CEL: the subject has one of the characters of a class."""
    return f"{subject}.matches({cel_text(re2(f'[{characters}]'))})"


def pattern_rule(node: str, message: str, pattern: str) -> Rule:
    """A rule for a text: the whole text matches the pattern."""
    return Rule(
        node=node,
        message=message,
        cel=fits_cel(pattern),
        holds=lambda text: matches(pattern, text),
        form=TextForm(all=(whole(pattern),)),
    )


def not_empty_rule(node: str, message: str) -> Rule:
    """A rule for a list that has at least one entry."""
    return Rule(node=node, message=message, cel="self.size() > 0", holds=bool, form=NotEmpty())


def naming(rule: Rule) -> Rule:
    """The rule with a hint that names the first invisible character of the text."""
    cel = f"{cel_text(rule.message)} + {named_cel()}"
    return replace(rule, message_cel=cel, hint=named, names_characters=True)


def offenders_cel(message: str, entries: str) -> str:
    """CEL for a message that ends with a list of entries.

    The CEL uses `format`: the API server assumes that a computed list has no limit and refuses `join` and `+` on it as
    too expensive.
    """
    template = message.replace("%", "%%") + OFFENDERS
    return f"{cel_text(template + '%s')}.format([{entries}])"


def offenders(entries: Iterable[str]) -> str:
    """The hint that `offenders_cel` gives in CEL: the entries as CEL's `format` shows a list."""
    return f"{OFFENDERS}[{', '.join(json.dumps(entry, ensure_ascii=False) for entry in entries)}]"
