"""`kubectl byoc seal` and `kubectl byoc migrate`: sealed Secrets out of what a user types or an old service stored."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import click

from .exit_codes import ExitCode, Refused
from .migration import entries
from .naming import KEY, SECRET, named
from .options import Target, in_namespace, targeted
from .output import as_yaml
from .sealer import checked, sealer_for, sip_secret
from .terminal import show_document, tell


@click.command(short_help="Seal a user name and a password; prints a Secret.")
@click.argument("name")
@in_namespace
@click.option("--key", default="password", show_default=True, help="Key of the Secret that holds the password.")
@click.option("--no-username", is_flag=True, help="The number names the user itself (spec.sipUsername).")
@targeted
async def seal(target: Target, name: str, key: str, *, no_username: bool) -> int:
    """Seal a SIP user name and password; prints the Secret NAME for `kubectl apply` or Git.

    Asks for both at a terminal. Else reads them from standard input: the user name in the first line, the password in
    the second (with --no-username the password alone). Never from an argument, which others could see.

    \b
    Examples:
      kubectl byoc seal twilio-sip -n voice > twilio-sip.yaml
      kubectl byoc seal twilio-sip -n voice < credentials.txt | kubectl apply -f -
      pass show twilio | head -n1 | kubectl byoc seal twilio-sip -n voice --no-username

    Who may read the operator's sealing keys seals locally. For everybody else the API server is asked, by a create
    that is only tried, to have the operator's admission webhook seal; without it nothing is printed (exit code 3).
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    if key == "username":
        raise Refused("--key: `username` holds the user name; name another key", ExitCode.USAGE)
    named("NAME", name, SECRET)
    named("--key", key, KEY)
    async with target.reached() as cluster:
        # Before anybody types a password in vain.
        where = cluster.namespace
        sealer = await sealer_for(cluster.api, target.operator_namespace)
        values = _asked(key, with_username=not no_username)
        checked(values)
        show_manifests([sip_secret(where, name, await sealer.sealed(where, name, values))])
    return 0


@click.command(short_help="Seal anew what the hosted service stored.")
@click.argument("tokens", type=click.File("rb"))
@in_namespace
@click.option("--old-key-file", type=click.File("rb"), required=True, help="Key of the old service; - is stdin.")
@targeted
async def migrate(target: Target, tokens: Any, old_key_file: Any) -> int:
    """Seal anew what the hosted service stored; prints a Secret for each line of TOKENS (- is standard input).

    A line is a JSON object: name (of the Secret), passwordToken (Fernet, under the old key), usernameToken or username
    (plain), namespace (else -n). All lines or none: a wrong one is named, and nothing is printed.

    \b
    Examples:
      kubectl byoc migrate tokens.jsonl --old-key-file old.key -n voice > secrets.yaml
      old-service export | kubectl byoc migrate - --old-key-file old.key -n voice | kubectl apply -f -

    \b
    A line:
      {"name": "twilio-sip", "username": "trunk-user", "passwordToken": "gAAAAA…"}
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    if tokens is old_key_file:
        raise Refused("only one of TOKENS and --old-key-file can be standard input", ExitCode.USAGE)
    lines, old_key = _text_of("TOKENS", tokens), _text_of("--old-key-file", old_key_file)
    async with target.reached() as cluster:
        found = entries(lines, old_key, cluster.namespace)
        sealer = await sealer_for(cluster.api, target.operator_namespace)
        show_manifests(
            [sip_secret(e.namespace, e.name, await sealer.sealed(e.namespace, e.name, e.values)) for e in found]
        )
    tell(f"sealed {len(found)} Secrets")
    return 0


def _asked(key: str, *, with_username: bool) -> Mapping[str, str]:
    """User name and password, from a terminal or from standard input."""
    names = ["username", key] if with_username else [key]
    if sys.stdin.isatty():
        with _interruptible():
            found = {"username": click.prompt("SIP user name", err=True, value_proc=_username)} if with_username else {}
            return found | {key: click.prompt("SIP password", hide_input=True, confirmation_prompt=True, err=True)}
    lines = [line.removesuffix("\r") for line in _text_of("standard input", sys.stdin.buffer).split("\n")]
    if lines[-1] == "":
        lines.pop()
    if len(lines) != len(names):
        expected = "user name and password, a line each" if with_username else "the password in one line"
        raise Refused(f"lines on standard input: {len(lines)}; expected: {expected}", ExitCode.USAGE)
    return dict(zip(names, lines, strict=True))


def _username(text: str) -> str:
    """The user name; asked for again if it could not be one."""
    try:
        checked({"username": text})
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


def _text_of(what: str, file: IO[bytes]) -> str:
    """All of it, without the byte order mark that editors put in front. Raises `Refused`."""
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{what} is not UTF-8 text", ExitCode.USAGE) from None


def show_manifests(manifests: list[dict[str, Any]]) -> None:
    """All of them, or nothing if one before failed. YAML escapes what is not ASCII."""
    show_document(as_yaml(*manifests))
