"""`kubectl byoc seal` and `kubectl byoc migrate`: sealed Secrets out of what a user types or an old service stored."""

from typing import Any

import click

from ..api import secret_keys
from .exit_codes import ExitCode, Refused
from .migration import entries
from .naming import KEY, SECRET, named
from .options import Target, in_namespace, targeted
from .output import as_yaml
from .seal_input import SIP, STORAGES, asked_for_sip, asked_for_storage, text_of
from .sealer import checked, sealer_for, sip_secret
from .terminal import show_document, tell


@click.command(short_help="Seal a user name and a password; prints a Secret.")
@click.argument("name")
@in_namespace
@click.option(
    "--for",
    "purpose",
    type=click.Choice([SIP, *STORAGES]),
    default=SIP,
    show_default=True,
    help="What is sealed: a SIP user name and password, or the keys of a storage of recordings.",
)
@click.option(
    "--key", default=secret_keys.PASSWORD, show_default=True, help="Key of the Secret that holds the password."
)
@click.option("--no-username", is_flag=True, help="The number names the user itself (spec.sipUsername).")
@targeted
async def seal(target: Target, name: str, purpose: str, key: str, *, no_username: bool) -> int:
    """Seal a SIP user name and password; prints the Secret NAME for `kubectl apply` or Git.

    Asks for both at a terminal. Else reads them from standard input: the user name in the first line, the password in
    the second (with --no-username the password alone). Never from an argument, which others could see.

    The keys of a storage of recordings: with --for s3 the access key ID and the secret access key, with --for azure a
    key of the storage account, with --for gcs the JSON file of a service account on standard input.

    \b
    Examples:
      kubectl byoc seal twilio-sip -n voice > twilio-sip.yaml
      kubectl byoc seal twilio-sip -n voice < credentials.txt | kubectl apply -f -
      pass show twilio | head -n1 | kubectl byoc seal twilio-sip -n voice --no-username
      kubectl byoc seal recordings -n voice --for s3 > recordings.yaml
      kubectl byoc seal recordings -n voice --for gcs < credentials.json > recordings.yaml

    Who may read the operator's sealing keys seals locally. For everybody else the API server is asked, by a create
    that is only tried, to have the operator's admission webhook seal; without it nothing is printed (exit code 3).
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    if purpose != SIP and (key != secret_keys.PASSWORD or no_username):
        raise Refused(f"--key and --no-username have no meaning with --for {purpose}", ExitCode.USAGE)
    if key == secret_keys.USERNAME:
        raise Refused("--key: `username` holds the user name; name another key", ExitCode.USAGE)
    if key in secret_keys.FIXED:
        raise Refused(f"--key: `{key}` holds a key of a recording's storage; name another key", ExitCode.USAGE)
    named("NAME", name, SECRET)
    named("--key", key, KEY)
    async with target.reached() as cluster:
        # Before anybody types a password in vain.
        where = cluster.namespace
        sealer = await sealer_for(cluster.api, target.operator_namespace)
        values = asked_for_sip(key, with_username=not no_username) if purpose == SIP else asked_for_storage(purpose)
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
    lines, old_key = text_of("TOKENS", tokens), text_of("--old-key-file", old_key_file)
    async with target.reached() as cluster:
        found = entries(lines, old_key, cluster.namespace)
        sealer = await sealer_for(cluster.api, target.operator_namespace)
        show_manifests(
            [sip_secret(e.namespace, e.name, await sealer.sealed(e.namespace, e.name, e.values)) for e in found]
        )
    tell(f"sealed {len(found)} Secrets")
    return 0


def show_manifests(manifests: list[dict[str, Any]]) -> None:
    """All of them, or nothing if one before failed. YAML escapes what is not ASCII."""
    show_document(as_yaml(*manifests))
