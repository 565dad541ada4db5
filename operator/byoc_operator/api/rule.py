"""What a rule is: one CEL expression, one Python predicate, one form for the chart of the numbers, one message.

The API server runs the CEL, the reconcile runs the predicate, and the chart's templates check the form. All three say
the same, and tests hold them together. `pattern_rule` makes all three from one pattern.
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
    """When a text fits: it matches every pattern of `all`, none of `none`, and has at most `max_bytes` bytes.

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
    """A map fits when each of its keys and each of its values fits; None: all do."""

    keys: TextForm | None = None
    values: TextForm | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """Fields that must fit together. The chart's template knows such a rule by its name.

    `patterns` and `names`: what the template needs beside the message, by the name that it uses.
    """

    name: str
    patterns: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transition:
    """A comparison with the object before the change. A chart does not know that object."""


Form = TextForm | NotEmpty | Entries | Together | Transition


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `node`: where the value stands under `spec`, "" for the spec itself, `[]` for each entry of a list.
    `cel`: expression over `self`; `holds`: the same in Python, for values whose types fit the schema. None: a
    transition rule, which a single object cannot break. `form`: the same once more, for the chart of the numbers.
    `field`: the field to name when it is not the node itself, relative to the node.
    `reason`: how the API server heads its refusal; absent: as an invalid value.
    `kept`: an object from before the rule is used all the same, as the operator copes with what breaks it.
    `hint`: text appended to the message, made from the value; `message_cel`: CEL for the whole message, hint included.
    `names_characters`: the hint names a character that the reader may not see by its code point.
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
    """A text as a CEL string literal, raw where it holds a backslash."""
    if '"' in text or "\n" in text:
        raise ValueError(f"cannot be quoted: {text}")
    return f'r"{text}"' if "\\" in text else f'"{text}"'


def whole(pattern: str) -> str:
    """A pattern for the whole text."""
    return f"^(?:{pattern})$"


def fits_cel(pattern: str, subject: str = "self") -> str:
    """CEL: the whole subject fits the pattern (CEL's `matches` alone would be content with a part)."""
    return f"{subject}.matches({cel_text(re2(whole(pattern)))})"


def has_any(characters: str, subject: str = "self") -> str:
    """CEL: the subject has one of the characters of a class."""
    return f"{subject}.matches({cel_text(re2(f'[{characters}]'))})"


def pattern_rule(node: str, message: str, pattern: str) -> Rule:
    """A rule for a text that as a whole fits a pattern."""
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
    """The rule for a text, with a refusal that names a character that the reader may not see."""
    cel = f"{cel_text(rule.message)} + {named_cel()}"
    return replace(rule, message_cel=cel, hint=named, names_characters=True)


def offenders_cel(message: str, entries: str) -> str:
    """CEL for a message that ends with a list of entries.

    By `format`, because the API server takes the length of a list made by an expression for unlimited and then finds
    any `join` or `+` too expensive.
    """
    template = message.replace("%", "%%") + OFFENDERS
    return f"{cel_text(template + '%s')}.format([{entries}])"


def offenders(entries: Iterable[str]) -> str:
    """The hint that belongs to `offenders_cel`: entries as CEL's `format` shows a list."""
    return f"{OFFENDERS}[{', '.join(json.dumps(entry, ensure_ascii=False) for entry in entries)}]"
