"""Completion in a shell: for kubectl, which asks the executable `kubectl_complete-byoc`, and for `kubectl-byoc` itself.

kubectl's protocol: a completion a line, its description behind a tab, and last a colon with a directive
(https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/kubectl/pkg/cmd/plugin_completion.go).
"""

import asyncio
import sys
from collections.abc import Sequence

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from ..api.printable import printable
from ..errors import OperatorError
from .exit_codes import ExitCode
from .kubectl_byoc import COMPLETE_VARIABLE, kubectl_byoc
from .terminal import show_document

LIMIT_S = 2.0
"""How long the names of objects may take: who presses Tab does not wait longer."""

MAX_NAMES = 500

_NO_FILES = 4
"""Directive: do not offer files where nothing fits."""

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(short_help="Print a completion script for a shell.")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes `kubectl-byoc` in a SHELL.

    `kubectl byoc` needs none: kubectl's own completion asks `kubectl_complete-byoc`, which is beside `kubectl-byoc`.

    \b
    Examples:
      source <(kubectl byoc completion bash)
      kubectl byoc completion fish > ~/.config/fish/completions/kubectl-byoc.fish
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    found = _SHELLS[shell](ctx.find_root().command, {}, "kubectl-byoc", COMPLETE_VARIABLE)
    show_document(found.source_template % found.source_vars() + "\n")


def names_of_numbers(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of objects that begin so, or phone numbers (`+…`). None where the cluster does not answer in time."""
    try:
        return asyncio.run(_names(ctx, begun))
    except (OperatorError, TimeoutError, OSError, click.ClickException):
        return []  # a completion has no place for an error, and the command itself tells it


async def _names(ctx: click.Context, begun: str) -> list[CompletionItem]:
    from .options import completed_target  # noqa: PLC0415 - its libraries take longer to load than a word to complete

    found: list[CompletionItem] = []
    async with asyncio.timeout(LIMIT_S), completed_target(ctx).reached() as cluster:
        async for number in cluster.numbers():
            name, phone = number.key.name, number.phone_number
            word, beside = (phone, name) if begun.startswith("+") else (name, phone)
            if word.startswith(begun):
                found.append(CompletionItem(word, help=printable(beside, 80)))
            if len(found) == MAX_NAMES:
                break
    return found


def completed(command: click.Command, words: Sequence[str]) -> list[str]:
    """The lines that kubectl is told. `words`: what follows `kubectl byoc`, the last one not yet complete."""
    *before, begun = words or [""]
    items = ShellComplete(command, {}, "kubectl byoc", COMPLETE_VARIABLE).get_completions(list(before), begun)
    lines = [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in items if item.type == "plain"]
    return [*lines, f":{0 if any(item.type in ('file', 'dir') for item in items) else _NO_FILES}"]


def main() -> None:
    """The executable `kubectl_complete-byoc`."""
    show_document("".join(f"{line}\n" for line in completed(kubectl_byoc, sys.argv[1:])))
    sys.exit(ExitCode.OK)
