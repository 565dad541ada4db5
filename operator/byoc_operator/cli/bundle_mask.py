"""Takes credentials out of everything that a support bundle holds, and numbers and names where asked. Pure.

A credential is masked in two ways: its field is never copied, and its text is replaced wherever it occurs.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ..api.authorization import MASKED, without_authorization
from .bundle_sought import SHORTEST

SAMPLED = 16
"""How many parts of a secret are compared to find a rare one."""

_SEALED_WITHIN = re.compile(r"(?:fernet(?::|%3[Aa])|ZmVybmV0O|gAAAA[A-Za-z0-9_-]{12})[A-Za-z0-9_=%+/-]+")
_LABELLED_WITHIN = re.compile(
    r"(?i)\b((?:auth_?)?pass(?:word|wd)?|pwd|(?:api_?|client_?)secret)"
    r"([\"']?[ \t]{0,4}[=:][ \t]{0,4}[\"']?)[^\s\"',;)}]{1,512}"
)
"""What calls itself a password, however short it is: `password=abc`, `"auth_password": "abc"`."""

_NUMBER_WITHIN = re.compile(r"(?:\+|%2[Bb]|\\u002[Bb])([1-9](?:[ ().-]{0,3}[0-9]){6,14})(?![0-9])")
_WORD_WITHIN = re.compile(r"[^\W_]+")


def forms(text: str) -> set[str]:
    """How a text may be written: as it is, in base64, in a URL, in JSON."""
    raw = text.encode("utf-8", "replace")
    encoded = (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    bare = (each.rstrip("=") for each in encoded)
    return {
        text,
        *encoded,
        *bare,
        quote(text, safe=""),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
    }


def _pieces(text: str) -> set[str]:
    """All parts of a text that are as long as the shortest secret."""
    return {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}


def some_pieces(text: str) -> list[str]:
    """At most `SAMPLED` of these parts, spread over the text. All of a long text would take as long as the masking."""
    last = len(text) - SHORTEST
    step = max(1, last // (SAMPLED - 1))
    return [text[at : at + SHORTEST] for at in range(0, last + 1, step)][:SAMPLED]


@dataclass(slots=True)
class Scrubber:
    """Masks texts. What it is told of before the first text is masked in all texts.

    `numbers`, `names`: whether these get pseudonyms. A pseudonym stands for the same text in all files of one bundle.
    """

    numbers: bool = False
    names: bool = False
    _secrets: dict[str, list[str]] = field(default_factory=dict)
    _hidden: set[str] = field(default_factory=set)
    _digits: dict[str, str] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)
    _lengths: dict[str, list[int]] = field(default_factory=dict)

    def hide(self, credentials: Iterable[str], over: Callable[[], bool] = lambda: False) -> bool:
        """Replace these texts in every form. `over`: whether the time is; False if it was before all were known."""
        for credential in sorted(set(credentials)):
            if over():
                return False
            texts = {each for each in (credential, credential.strip()) if len(each) >= SHORTEST}
            for each in sorted(set().union(*map(forms, texts)) - self._hidden):
                self._hidden.add(each)
                rarest = min(some_pieces(each), key=lambda piece: len(self._secrets.get(piece, ())))
                self._secrets.setdefault(rarest, []).append(each)
        return True

    def know_number(self, phone: str) -> None:
        """Mask a phone number, with and without its plus."""
        self._pseudonym_of("".join(each for each in phone if each.isdigit()))

    def know_names(self, kind: str, names: Iterable[str]) -> None:
        """Give names a pseudonym that begins with `kind`, whole words only."""
        for name in sorted(names):
            for form in {name, json.dumps(name)[1:-1]}:
                self._know(form, f"{kind}-{len(self._known) + 1}" if name not in self._known else self._known[name])

    def _know(self, form: str, pseudonym: str) -> None:
        words = list(_WORD_WITHIN.finditer(form))
        if not words:
            return
        bare = form[words[0].start() : words[-1].end()]
        if bare in self._known:
            return
        self._known[bare] = pseudonym
        lengths = self._lengths.setdefault(words[0].group(), [])
        if len(bare) not in lengths:
            lengths.append(len(bare))
            lengths.sort(reverse=True)

    def _pseudonym_of(self, digits: str) -> str:
        return self._digits.setdefault(digits, f"number-{len(self._digits) + 1}")

    def text(self, text: str) -> str:
        """The text, masked."""
        text = self._without_secrets(text)
        text = _SEALED_WITHIN.sub(MASKED, text)
        text = _LABELLED_WITHIN.sub(rf"\1\2{MASKED}", without_authorization(text))
        if self.numbers:
            text = _NUMBER_WITHIN.sub(lambda found: self._pseudonym_of("".join(filter(str.isdigit, found[1]))), text)
        return self._renamed(text) if self.names or self.numbers else text

    def _without_secrets(self, text: str) -> str:
        """The text without the secrets, the longest first.

        Looking for each of some thousand secrets in each line would take minutes. So each secret stands under the piece
        of it that few others have, and only those are looked for whose piece is in the text.
        """
        there = _pieces(text) & self._secrets.keys()
        found = {secret for piece in there for secret in self._secrets[piece] if secret in text}
        for secret in sorted(found, key=lambda each: (-len(each), each)):
            text = text.replace(secret, MASKED)
        return text

    def value(self, value: object) -> object:
        """A value of JSON types, with every text masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key if str(key).isalpha() else self.text(str(key)): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value

    def _renamed(self, text: str) -> str:
        """The text with pseudonyms for known names, and for known numbers that stand without their plus."""
        parts: list[str] = []
        done = 0
        for word in _WORD_WITHIN.finditer(text):
            if word.start() < done:
                continue
            found = self._at(text, word.start(), word.group())
            if found:
                length, pseudonym = found
                parts += [text[done : word.start()], pseudonym]
                done = word.start() + length
        return "".join([*parts, text[done:]])

    def _at(self, text: str, start: int, word: str) -> tuple[int, str] | None:
        for length in self._lengths.get(word, ()) if self.names else ():
            end = start + length
            if text[start:end] in self._known and not text[end : end + 1].isalnum():
                return length, self._known[text[start:end]]
        if not self.numbers:
            return None
        bare = word.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        if bare in self._digits:
            return len(word), word[: len(word) - len(bare)] + self._digits[bare]
        return None
