"""What `kubectl byoc seal` seals, asked for at a terminal or read from standard input."""

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Final

import click

from ..api import secret_keys
from ..api.secret_references import RECORDING_STORAGES
from .exit_codes import ExitCode, Refused
from .sealer import checked

SIP: Final = "sip"
STORAGES: Final = tuple(RECORDING_STORAGES)

_PROMPTS: Final = {
    "s3": (
        (secret_keys.S3_ACCESS_KEY_ID, "Access key ID", False),
        (secret_keys.S3_SECRET_ACCESS_KEY, "Secret access key", True),
    ),
    "azure": ((secret_keys.AZURE_ACCOUNT_KEY, "Key of the storage account", True),),
}
"""For each storage whose keys are a line each: key of the Secret, prompt, and whether the input is hidden."""


def asked_for_sip(key: str, *, with_username: bool) -> Mapping[str, str]:
    """User name and password, from a terminal or from standard input."""
    names = [secret_keys.USERNAME, key] if with_username else [key]
    if sys.stdin.isatty():
        with _interruptible():
            found = (
                {secret_keys.USERNAME: click.prompt("SIP user name", err=True, value_proc=_username)}
                if with_username
                else {}
            )
            return found | {key: click.prompt("SIP password", hide_input=True, confirmation_prompt=True, err=True)}
    return _lines(names, "user name and password, a line each" if with_username else "the password in one line")


def asked_for_storage(storage: str) -> Mapping[str, str]:
    """The keys of a storage of recordings, from a terminal or from standard input."""
    prompts = _PROMPTS.get(storage)
    if prompts is None:
        if sys.stdin.isatty():
            raise Refused("--for gcs reads the JSON file from standard input: … < credentials.json", ExitCode.USAGE)
        return {secret_keys.GCS_SERVICE_ACCOUNT: text_of("standard input", sys.stdin.buffer)}
    if sys.stdin.isatty():
        with _interruptible():
            return {key: click.prompt(words, hide_input=hidden, err=True) for key, words, hidden in prompts}
    expected = " and ".join(words[:1].lower() + words[1:] for _, words, _ in prompts)
    return _lines([key for key, _, _ in prompts], f"{expected}, a line each")


def _lines(keys: Sequence[str], expected: str) -> Mapping[str, str]:
    """The lines of standard input, one for each key. Raises `Refused`."""
    lines = [line.removesuffix("\r") for line in text_of("standard input", sys.stdin.buffer).split("\n")]
    if lines[-1] == "":
        lines.pop()
    if len(lines) != len(keys):
        raise Refused(f"lines on standard input: {len(lines)}; expected: {expected}", ExitCode.USAGE)
    return dict(zip(keys, lines, strict=True))


def _username(text: str) -> str:
    """The user name; asked for again if it could not be one."""
    try:
        checked({secret_keys.USERNAME: text})
    except Refused as exc:
        raise click.UsageError(exc.message) from None
    return text


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends a prompt at once: asyncio would only take note of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def text_of(what: str, file: IO[bytes]) -> str:
    """All of it, without the byte order mark that editors put in front. Raises `Refused`."""
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{what} is not UTF-8 text", ExitCode.USAGE) from None
