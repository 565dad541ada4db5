"""What a rule is: one CEL expression, one Python predicate, one text."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .characters import named, named_cel, re2

OFFENDERS = "; wrong: "


def no_hint(_value: Any) -> str:
    """The hint of rules that have none."""
    return ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    `node`: where the value stands under `spec`, "" for the spec itself, `[]` for each entry of a list.
    `cel`: expression over `self`; `holds`: the same in Python, for values whose types fit the schema. None: a
    transition rule, which a single object cannot break.
    `field`: the field to name when it is not the node itself, relative to the node.
    `reason`: how the API server heads its refusal; absent: as an invalid value.
    `kept`: an object from before the rule is used all the same, as the operator copes with what breaks it.
    `hint`: text appended to the message, made from the value; `message_cel`: CEL for the whole message, hint included.
    `names_characters`: the hint names a character that the reader may not see by its code point.
    """

    node: str
    message: str
    cel: str
    holds: Callable[[Any], bool] | None
    field: str = ""
    reason: str = ""
    message_cel: str = ""
    hint: Callable[[Any], str] = no_hint
    kept: bool = False
    names_characters: bool = False


def cel_text(text: str) -> str:
    """A text as a CEL string literal, raw where it holds a backslash."""
    if '"' in text or "\n" in text:
        raise ValueError(f"cannot be quoted: {text}")
    return f'r"{text}"' if "\\" in text else f'"{text}"'


def form(pattern: str, subject: str = "self") -> str:
    """CEL: the whole subject has the form of the pattern (CEL's `matches` alone would be content with a part)."""
    return f"{subject}.matches({cel_text(re2(f'^(?:{pattern})$'))})"


def has_any(characters: str, subject: str = "self") -> str:
    """CEL: the subject has one of the characters of a class."""
    return f"{subject}.matches({cel_text(re2(f'[{characters}]'))})"


def text_rule(node: str, message: str, cel: str, holds: Callable[[str], bool]) -> Rule:
    """A rule for a text, whose refusal names a character that the reader may not see."""
    return Rule(
        node=node,
        message=message,
        cel=cel,
        holds=holds,
        message_cel=f"{cel_text(message)} + {named_cel()}",
        hint=named,
        names_characters=True,
    )


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
