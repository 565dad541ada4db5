"""Makers of rules for texts and for maps of texts: each makes the CEL, the predicate and the form of one rule."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from . import grammar
from .characters import HIDDEN, has_hidden
from .grammar import matches
from .rule import (
    Entries,
    Rule,
    TextForm,
    fits_cel,
    has_any,
    naming,
    offenders,
    offenders_cel,
    pattern_rule,
    whole,
)

_UNSEEN: Final = "such as a zero width space, a soft hyphen, a direction mark or a byte order mark"


def without_controls_rule(node: str) -> Rule:
    """A rule for a text: no control characters."""
    message = "must not have control characters such as line breaks or tabs"
    return pattern_rule(node, message, grammar.WITHOUT_CONTROLS)


def identifier_rule(node: str) -> Rule:
    """A rule for a name that is compared letter by letter: no control characters, no blanks at its ends."""
    message = "must not have control characters and must not begin or end with a blank"
    return pattern_rule(node, message, grammar.WITHOUT_CONTROLS_AND_EDGE_BLANKS)


def visible_rule(node: str, hidden: str) -> Rule:
    """A rule for a text: none of the characters of a class, because nobody can see them."""
    one = re.compile(f"[{hidden}]")
    rule = Rule(
        node=node,
        message=f"must not have characters that cannot be seen, {_UNSEEN}",
        cel=f"!{has_any(hidden)}",
        holds=lambda text: not one.search(text),
        form=TextForm(none=(f"[{hidden}]",)),
    )
    return naming(rule)


HEADER_NAMES: Final = TextForm(
    all=(whole(grammar.HEADER_NAME), rf"^.{{1,{grammar.MAX_HEADER_NAME_LENGTH}}}$"),
)
ONLY_WITHOUT_CONTROLS: Final = (whole(grammar.WITHOUT_CONTROLS),)
VALUE_WITHOUT_CONTROLS_CEL: Final = fits_cel(grammar.WITHOUT_CONTROLS, "self[k]")
_MAX_KEY_LENGTH: Final = 253
_NOT_PLAIN_CEL: Final = (
    f"k.size() < 1 || k.size() > {_MAX_KEY_LENGTH} || "
    f"!{fits_cel(grammar.WITHOUT_CONTROLS, 'k')} || !{VALUE_WITHOUT_CONTROLS_CEL}"
)


def map_rule(
    node: str, message: str, wrong: tuple[str, Callable[[str, str], bool]], form: Entries, *, kept: bool = False
) -> Rule:
    """A rule for each entry of a map. The hint names the keys of the wrong entries.

    `wrong`: the condition for a wrong entry, as CEL over `k` and `self[k]` and as a predicate over key and value.
    """
    wrong_cel, is_wrong = wrong

    def wrong_keys(entries: Mapping[str, str]) -> list[str]:
        return sorted(key for key, value in entries.items() if is_wrong(key, value))

    return Rule(
        node=node,
        message=message,
        cel=f"!self.exists(k, {wrong_cel})",
        holds=lambda entries: not wrong_keys(entries),
        form=form,
        message_cel=offenders_cel(message, f"self.filter(k, {wrong_cel})"),
        hint=lambda entries: offenders(wrong_keys(entries)),
        kept=kept,
    )


def visible_map_rule(node: str, values: str, *, keys: bool = False) -> Rule:
    """A rule against hidden characters in a map.

    `values`: the set of characters that values must not have. `keys`: whether the keys must have none of `HIDDEN`
    either; names of headers are ASCII in any case.
    """
    one = re.compile(f"[{values}]")
    parts = (["keys"] if keys else []) + ["values"]
    wrong_cel = has_any(values, "self[k]")
    return map_rule(
        node,
        f"must not have {' or '.join(parts)} with characters that cannot be seen, {_UNSEEN} "
        "(U+00AD, U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF and others)",
        (
            f"{has_any(HIDDEN, 'k')} || {wrong_cel}" if keys else wrong_cel,
            lambda key, value: (keys and has_hidden(key)) or one.search(value) is not None,
        ),
        Entries(
            keys=TextForm(none=(f"[{HIDDEN}]",)) if keys else None,
            values=TextForm(none=(f"[{values}]",)),
        ),
    )


def plain_map_rule(node: str) -> Rule:
    """A rule for a map of free keys: keys of a sensible length, no control characters anywhere."""
    return map_rule(
        node,
        f"must have keys of 1 to {_MAX_KEY_LENGTH} characters, and neither keys nor values with control characters",
        (
            _NOT_PLAIN_CEL,
            lambda key, value: (
                not 1 <= len(key) <= _MAX_KEY_LENGTH
                or not matches(grammar.WITHOUT_CONTROLS, key)
                or not matches(grammar.WITHOUT_CONTROLS, value)
            ),
        ),
        Entries(
            keys=TextForm(all=(*ONLY_WITHOUT_CONTROLS, rf"^(?s:.){{1,{_MAX_KEY_LENGTH}}}$")),
            values=TextForm(all=ONLY_WITHOUT_CONTROLS),
        ),
    )


def not_header_name_cel(name: str) -> str:
    """CEL that is true if the text in a CEL variable is not the name of a SIP header: `grammar.is_header_name`."""
    return f"{name}.size() > {grammar.MAX_HEADER_NAME_LENGTH} || !{fits_cel(grammar.HEADER_NAME, name)}"


def header_name_rule(node: str) -> Rule:
    """A rule for a map whose keys are names of SIP headers."""
    return map_rule(
        node,
        "must have header names of 1 to 255 letters, digits and -.!%*_+`'~ only, such as X-Customer-Id",
        (not_header_name_cel("k"), lambda name, _: not grammar.is_header_name(name)),
        Entries(keys=HEADER_NAMES),
    )
