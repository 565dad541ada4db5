"""`kubectl byoc`: seals SIP credentials, looks after the sealing keys, takes over the hosted service's tokens."""

import asyncio
import functools
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol

import click
import yaml

from ..cluster.api import connect_as_user
from ..cluster.port import JsonApi
from ..errors import OperatorError
from ..sealing.sealed import KeyRing
from .key_uses import StoredKeys
from .migration import entries
from .release import LEASE, ask_to_release
from .sealer import KEY, NAMESPACE, SECRET, USAGE, Refused, checked, named, sealer_for, sip_secret
from .terminal import show, show_table, tell

PROGRAM = "kubectl byoc:"


class Connect(Protocol):
    """Reaches a cluster as the user does: kubeconfig and context, None for what kubectl would take."""

    async def __call__(self, kubeconfig: str | None, context: str | None) -> tuple[JsonApi, str]:
        """The API server, and the namespace of the context."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """What a command finds around it; `clock`: epoch seconds. Tests bring their own."""

    connect: Connect = connect_as_user
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster a command works on, and where in it."""

    kubeconfig: str | None
    context: str | None
    operator_namespace: str
    outside: Outside

    @asynccontextmanager
    async def reached(self) -> Any:
        """The API server, and the namespace of the context."""
        api, namespace = await self.outside.connect(self.kubeconfig, self.context)
        try:
            yield api, namespace
        finally:
            await api.close()


def _targeted(run: Callable[..., Coroutine[Any, Any, int]]) -> Callable[..., None]:
    """Options of every command; faults become one line on stderr and an exit code."""

    @click.option("--kubeconfig", type=click.Path(), help="Configuration file, as of kubectl.")
    @click.option("--context", help="Context of the configuration, as of kubectl.")
    @click.option(
        "--operator-namespace",
        envvar="BYOC_OPERATOR_NAMESPACE",
        default="byoc-system",
        show_default=True,
        help="Namespace of the operator, where its sealing keys are.",
    )
    @functools.wraps(run)
    def command(kubeconfig: str | None, context: str | None, operator_namespace: str, **options: Any) -> None:
        ctx = click.get_current_context()
        try:
            where = named("--operator-namespace", operator_namespace, NAMESPACE)
            code = asyncio.run(run(Target(kubeconfig, context, where, ctx.obj or Outside()), **options))
        except OperatorError as exc:
            tell(exc.message, head=PROGRAM)
            code = exc.exit_code if isinstance(exc, Refused) else 1
        except (click.ClickException, click.Abort, BrokenPipeError):
            raise  # click tells them, and is quiet about a reader that has gone
        except Exception as exc:  # noqa: BLE001 - Python would print the exception's text, whoever wrote it
            frames = "".join(traceback.format_tb(exc.__traceback__)[-4:])
            tell(f"{type(exc).__name__}, which is a bug: please report it with these lines\n{frames}", head=PROGRAM)
            code = 1
        ctx.exit(code)

    return command


_IN_NAMESPACE = click.option("-n", "--namespace", help="Namespace of the Secret; as of kubectl, that of the context.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="byoc-operator")
def kubectl_byoc() -> None:
    """Bring Your Own Carrier: sealed SIP credentials for the BYOC operator.

    Exit codes: 0 done, 1 failed, 2 wrong input, 3 no rights (or nothing in the cluster that seals), 4 keys in use.
    """


@kubectl_byoc.command(short_help="Seal a user name and a password; prints a Secret.")
@click.argument("name")
@_IN_NAMESPACE
@click.option("--key", default="password", show_default=True, help="Key of the Secret that holds the password.")
@click.option("--no-username", is_flag=True, help="The number names the user itself (spec.sipUsername).")
@_targeted
async def seal(target: Target, name: str, namespace: str | None, key: str, *, no_username: bool) -> int:
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
        raise Refused("--key: `username` holds the user name; name another key", exit_code=USAGE)
    named("NAME", name, SECRET)
    named("--key", key, KEY)
    async with target.reached() as (api, current):
        # Before anybody types a password in vain.
        where = named("-n", namespace or current, NAMESPACE)
        sealer = await sealer_for(api, target.operator_namespace)
        values = _asked(key, with_username=not no_username)
        checked(values)
        _print([sip_secret(where, name, await sealer.sealed(where, name, values))])
    return 0


@kubectl_byoc.group()
def keys() -> None:
    """The operator's sealing keys: rotate, list, re-seal, retire.

    \b
    A rotation, in this order; no number leaves Ready:
      kubectl byoc keys rotate     a new key seals from now on, the old ones still open
      kubectl byoc keys reseal     the Secrets in the cluster; those that Git owns are sealed anew in Git
      kubectl byoc keys list       nothing uses an old key any more?
      kubectl byoc keys retire     drops the old keys; right after `rotate` it waits a moment

    The Secrets are those with the label byoc.talkifai.dev/sip-credentials=true and those that a number names.
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph


@keys.command(short_help="Put a new key first.")
@_targeted
async def rotate(target: Target) -> int:
    """Put a new key first: it seals from now on, the older ones still open. No restart is needed."""
    async with target.reached() as (api, _):
        ring = await StoredKeys(api, target.operator_namespace).change(KeyRing.rotated)
    tell(f"new sealing key {ring.fingerprints()[0]}; back up the Secret, then run `kubectl byoc keys reseal`")
    return 0


@keys.command("list", short_help="Show fingerprints, and who needs an older key.")
@_targeted
async def list_keys(target: Target) -> int:
    """Show fingerprints of the keys, never keys, and which Secrets still need an older one."""
    async with target.reached() as (api, _):
        stored = StoredKeys(api, target.operator_namespace)
        ring = await stored.ring()
        uses = await stored.uses(ring)
    rows = [
        (each, "opens" if position else "seals and opens", str(sum(each in use.keys.values() for use in uses)))
        for position, each in enumerate(ring.fingerprints())
    ]
    lost = [use.label for use in uses if "" in use.keys.values()]
    if lost:
        rows.append(("none", "", str(len(lost))))
    show_table(("KEY", "DOES", "SECRETS"), rows)
    for each in ring.fingerprints()[1:]:
        _name(f"sealed with the older key {each}", [use.label for use in uses if each in use.keys.values()])
    _name("no key opens, or sealed for another use", lost)
    for where, why in stored.unread.items():
        tell(f"{where}: {why}", head="not looked at:")
    return 0


@keys.command(short_help="Seal with the newest key, in place.")
@_targeted
async def reseal(target: Target) -> int:
    """Seal with the newest key whatever Secret is sealed with an older one, in place.

    Where Git owns a Secret it would put the old value back: seal that one anew in Git with `kubectl byoc seal`.
    """
    async with target.reached() as (api, _):
        outcome = await StoredKeys(api, target.operator_namespace).reseal()
    for label in outcome.done:
        show(label)
    for label, why in outcome.failed.items():
        tell(f"{label}: {why}", head="not re-sealed:")
    tell(f"re-sealed {len(outcome.done)}, failed {len(outcome.failed)}")
    return 1 if outcome.failed else 0


@keys.command(short_help="Drop every key but the newest.")
@click.option("--even-if-used", is_flag=True, help="Give up what is still sealed with an older key, at once.")
@_targeted
async def retire(target: Target, *, even_if_used: bool) -> int:
    """Drop every key but the newest. Refused (exit code 4) while a Secret needs one of them.

    Not seen are Secrets that neither have the label nor are named by a number, and what only Git, a backup or a file
    holds: seal that anew before.
    """

    async def wait(seconds: float) -> None:
        tell(
            f"the keys changed a moment ago: waiting {seconds:.0f} s, until whatever the operator still sealed with an "
            "older key is stored"
        )
        await target.outside.sleep(seconds)

    async with target.reached() as (api, _):
        stored = StoredKeys(api, target.operator_namespace, target.outside.clock)
        before, after = await stored.retire(wait, even_if_used=even_if_used)
    gone = [each for each in before.fingerprints() if each not in after.fingerprints()]
    tell(f"retired {', '.join(gone)}" if gone else "there is only one key; nothing to retire")
    return 0


@kubectl_byoc.command(short_help="Seal anew what the hosted service stored.")
@click.argument("tokens", type=click.File("rb"))
@_IN_NAMESPACE
@click.option("--old-key-file", type=click.File("rb"), required=True, help="Key of the old service; - is stdin.")
@_targeted
async def migrate(target: Target, tokens: Any, namespace: str | None, old_key_file: Any) -> int:
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
        raise Refused("only one of TOKENS and --old-key-file can be standard input", exit_code=USAGE)
    lines, old_key = _text_of("TOKENS", tokens), _text_of("--old-key-file", old_key_file)
    async with target.reached() as (api, current):
        found = entries(lines, old_key, named("-n", namespace or current, NAMESPACE))
        sealer = await sealer_for(api, target.operator_namespace)
        _print([sip_secret(e.namespace, e.name, await sealer.sealed(e.namespace, e.name, e.values)) for e in found])
    tell(f"sealed {len(found)} Secrets")
    return 0


@kubectl_byoc.command(short_help="Have the operator delete what nobody looks after in LiveKit.")
@click.argument("ids", nargs=-1, required=True)
@click.option(
    "--lease-name", envvar="BYOC_LEASE_NAME", default="byoc-operator", show_default=True, help="Lease of the operator."
)
@_targeted
async def release(target: Target, ids: tuple[str, ...], lease_name: str) -> int:
    """Have the operator delete LiveKit's objects IDS that deletionPolicy Retain or a lost finalizer left there.

    Their number is then free for everybody. What belongs to an existing ByocPhoneNumber is not touched. The operator's
    log names what it deletes, and what it leaves. With a trunk goes the rule that leads to it. The Events RetainedFound
    and OrphansFound on the Lease, and the message of NumberClaimed, name IDs; commas between them do no harm.
    """
    lease = named("--lease-name", lease_name, LEASE)
    wanted = [part for text in ids for part in text.strip(",").split(",")]  # as Events and messages list them
    async with target.reached() as (api, _):
        await ask_to_release(api, target.operator_namespace, lease, wanted)
    tell(f"asked the operator to release {', '.join(wanted)}; its log names what it deletes, and what it leaves")
    return 0


def main() -> None:
    """The executable `kubectl-byoc`, which kubectl runs for `kubectl byoc`."""
    kubectl_byoc(prog_name="kubectl byoc")


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
        raise Refused(f"lines on standard input: {len(lines)}; expected: {expected}", exit_code=USAGE)
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
        raise Refused(f"{what} is not UTF-8 text", exit_code=USAGE) from None


def _print(manifests: list[dict[str, Any]]) -> None:
    """All of them, or nothing if one before failed. YAML escapes what is not ASCII."""
    click.echo(yaml.safe_dump_all(manifests, sort_keys=False, width=10_000), nl=False)


def _name(what: str, labels: list[str]) -> None:
    if labels:
        tell(f"{what}: {', '.join(labels)}")


if __name__ == "__main__":
    main()
