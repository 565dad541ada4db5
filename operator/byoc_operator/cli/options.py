"""The options that commands share, and `Target`: the cluster that a command works on, and where in it.

A command takes the options that it needs, `targeted` last:

    @click.command()
    @click.argument("name")
    @over_numbers
    @with_output
    @targeted
    async def status(target: Target, name: str) -> int:
"""

import asyncio
import functools
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from ..api.characters import has_hidden
from ..cluster.answers import Forbidden, Unauthorized
from ..cluster.connection import Access
from ..errors import OperatorError
from .cluster import Cluster, Scope
from .durations import seconds_in
from .exit_codes import ExitCode, Refused
from .formats import Format
from .naming import NAMESPACE, named
from .outside import Outside
from .terminal import tell

PROGRAM = "kubectl byoc:"

LONGEST_REQUEST_S = 300
"""What `--request-timeout` may be at most, and what 0 (no timeout) stands for: every command ends."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster a command works on, where in it, and how the result is printed.

    `namespace`: None for that of the context. `selector`: a label selector. `livekit_key_file`: see `livekit_access`.
    """

    access: Access
    outside: Outside
    operator_namespace: str
    namespace: str | None = None
    all_namespaces: bool = False
    selector: str = ""
    output: Format = Format.TABLE
    livekit_key_file: str | None = None

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[Cluster]:
        """The cluster, connected. Raises OperatorError."""
        api, current = await self.outside.connect(self.access)
        try:
            namespace = named("-n", self.namespace or current, NAMESPACE)
            yield Cluster(api, Scope(namespace, self.all_namespaces, self.selector), self.access.timeout_s)
        finally:
            await api.close()


in_namespace = click.option("-n", "--namespace", help="Namespace; as of kubectl, that of the context.")

_everywhere = click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
_selected = click.option("-l", "--selector", default="", help="Label selector, as of kubectl: `team=sales,tier!=test`.")

with_output = click.option(
    "-o",
    "--output",
    type=click.Choice([each.value for each in Format]),
    default=Format.TABLE.value,
    show_default=True,
    help="json and yaml: a list object with `items`, whose fields are only ever added to.",
)

with_livekit = click.option(
    "--livekit-key-file",
    type=click.Path(),
    help="File with LiveKit's API key and secret, as `key: secret`. Else LIVEKIT_API_KEY and LIVEKIT_API_SECRET (or "
    "…_FILE), else the operator's own Secret, if you may read it.",
)


def over_numbers(command: _Command) -> _Command:
    """`-n`, `-A`, `-l`: which numbers."""
    return in_namespace(_everywhere(_selected(command)))


_OF_CONNECTION = (
    click.option("--kubeconfig", type=click.Path(), help="Configuration file, as of kubectl."),
    click.option("--context", help="Context of the configuration, as of kubectl."),
    click.option("--as", "user", default="", help="User to act as, as of kubectl."),
    click.option("--as-group", "groups", multiple=True, help="Group to act as; may be given more than once."),
    click.option(
        "--request-timeout",
        default="15s",
        show_default=True,
        help="How long one request may take: 5s, 1m; 0 and more than 300s: 300s.",
    ),
    click.option(
        "--operator-namespace",
        envvar="BYOC_OPERATOR_NAMESPACE",
        default="byoc-system",
        show_default=True,
        help="Namespace of the operator, where its sealing keys are.",
    ),
)

_NOTHING_SAID: Mapping[str, Any] = {
    "kubeconfig": None,
    "context": None,
    "user": "",
    "groups": (),
    "request_timeout": "2s",
    "operator_namespace": "byoc-system",
}
"""What a command line that is not yet complete means."""

_ASKED = frozenset(field.name for field in fields(Target)) - {"access", "outside"}


def targeted(run: Callable[..., Coroutine[Any, Any, int]]) -> Callable[..., None]:
    """Make a command of `run(target, …)`: with the options of the connection, and faults as one line and an exit code.

    Options of this module become part of the target; what else the command has is handed to `run`.
    """

    @functools.wraps(run)
    def command(**options: Any) -> None:
        ctx = click.get_current_context()
        outside = ctx.obj if isinstance(ctx.obj, Outside) else Outside()
        ctx.exit(ended(lambda: asyncio.run(run(_target(outside, options), **options))))

    for option in reversed(_OF_CONNECTION):
        command = option(command)
    return command


def _target(outside: Outside, options: dict[str, Any]) -> Target:
    """The target; its options are taken out of `options`."""
    timeout_s = seconds_in("--request-timeout", options.pop("request_timeout")) or LONGEST_REQUEST_S
    user, groups = options.pop("user"), tuple(options.pop("groups"))
    if groups and not user:
        raise Refused("--as-group: needs --as, as in kubectl", ExitCode.USAGE)
    access = Access(
        options.pop("kubeconfig"), options.pop("context"), user, groups, float(min(timeout_s, LONGEST_REQUEST_S))
    )
    asked = {name: options.pop(name) for name in _ASKED & options.keys()}
    asked["output"] = Format(asked.get("output", Format.TABLE))
    named("--operator-namespace", asked["operator_namespace"], NAMESPACE)
    if has_hidden(asked.get("selector", "")):  # bytes that are no text become surrogates, which no URL can hold
        raise Refused("-l: has a character that cannot be seen", ExitCode.USAGE)
    return Target(access, outside, **asked)


def completed_target(ctx: click.Context) -> Target:
    """The target of a command line that is not yet complete."""
    outside = ctx.find_object(Outside) or Outside()
    told = {name: value for name, value in ctx.params.items() if value is not None}
    options = {**_NOTHING_SAID, **told}
    return _target(outside, {name: options[name] for name in options if name in _ASKED | _NOTHING_SAID.keys()})


def ended(run: Callable[[], int]) -> int:
    """The exit code of a command; why it failed stands in one line on standard error."""
    try:
        return run()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (Forbidden, Unauthorized) as exc:
        tell(f"you may not: {exc.words or exc.message}", head=PROGRAM)
        return ExitCode.NO_RIGHTS
    except OperatorError as exc:
        tell(exc.message, head=PROGRAM)
        return exc.exit_code if isinstance(exc, Refused) else ExitCode.FAILED
    except (click.ClickException, click.Abort, BrokenPipeError):
        raise  # click tells them, and is quiet about a reader that has gone
    except Exception as exc:  # noqa: BLE001 - Python would print the exception's text, whoever wrote it
        frames = "".join(traceback.format_tb(exc.__traceback__)[-4:])
        bug = f"{type(exc).__name__}, which is a bug: please report it with these lines"
        tell(f"{bug}\n{frames}", head=PROGRAM, keep="\n")
        return ExitCode.FAILED
