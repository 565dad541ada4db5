"""Rules for the aliases of a number."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from . import grammar
from .rule import Rule, Together, naming, offenders, offenders_cel, pattern_rule

_ALIAS_TWICE = (
    "must differ from phoneNumber and from each other; a plus in front makes no difference to LiveKit, so 100 and +100 "
    "are the same"
)
_TWICE_CEL = (
    'a.replace("+", "") == self.phoneNumber.replace("+", "") || '
    '!self.inbound.aliases.exists_one(b, b.replace("+", "") == a.replace("+", ""))'
)


def _twice(spec: Mapping[str, Any]) -> list[str]:
    """The aliases that LiveKit takes for the number itself or for another alias."""
    aliases = (spec.get("inbound") or {}).get("aliases") or ()
    counts = Counter(alias.replace("+", "") for alias in aliases)
    counts[spec["phoneNumber"].replace("+", "")] += 1
    return [alias for alias in aliases if counts[alias.replace("+", "")] > 1]


ALIAS_RULES: Final = (
    naming(
        pattern_rule(
            "inbound.aliases[]",
            "must be 1 to 32 digits with or without a plus in front, nothing else, such as 02079460123 or 100",
            grammar.ALIAS,
        )
    ),
    Rule(
        node="",
        field="inbound.aliases",
        message=_ALIAS_TWICE,
        cel=f"!has(self.inbound) || !has(self.inbound.aliases) || !self.inbound.aliases.exists(a, {_TWICE_CEL})",
        holds=lambda spec: not _twice(spec),
        form=Together("aliasTwice"),
        message_cel=offenders_cel(_ALIAS_TWICE, f"self.inbound.aliases.filter(a, {_TWICE_CEL})"),
        hint=lambda spec: offenders(_twice(spec)),
    ),
)
