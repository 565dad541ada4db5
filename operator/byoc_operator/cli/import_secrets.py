"""The Secrets of imported numbers: sealed, in plain text, or without values."""

from collections.abc import Mapping

from ..api.secret_references import INBOUND_CREDENTIALS
from ..core.credentials import USERNAME_KEY
from ..core.trunk import Kind
from ..errors import OperatorError
from .cluster import Cluster
from .import_files import Written, WrittenSecret, plain_comment, stub_comment
from .import_logins import Login
from .import_proof import PASSWORD_KEY, Imported
from .options import Target
from .sealer import Sealer, sealer_for, sip_secret
from .terminal import tell


async def with_secrets(target: Target, cluster: Cluster, made: list[Imported], *, plain: bool) -> list[Written]:
    """The numbers with their Secrets: sealed, else in plain text where that is allowed, else without values."""
    known = any(login.password is not None for each in made for login in each.stated.logins.values())
    sealer, why = await _sealer(target, cluster) if known else (None, "")
    if why:
        tell(f"the credentials cannot be sealed: {why}", head="note:")
    return [
        Written(
            each,
            tuple([await _secret(each, path, sealer, why, plain=plain) for path in each.stated.logins]),
        )
        for each in made
    ]


async def _sealer(target: Target, cluster: Cluster) -> tuple[Sealer | None, str]:
    try:
        return await sealer_for(cluster.api, target.operator_namespace), ""
    except OperatorError as exc:
        return None, exc.message


async def _secret(each: Imported, path: str, sealer: Sealer | None, why: str, *, plain: bool) -> WrittenSecret:
    name, namespace = each.secrets[path], each.key.namespace
    values = _texts(each.stated.logins[path])
    if values is None:
        why = "LiveKit does not list the password"
    elif sealer is not None:
        try:
            return WrittenSecret(sip_secret(namespace, name, await sealer.sealed(namespace, name, values)))
        except OperatorError as exc:
            why = exc.message
    if values is not None and plain:
        return WrittenSecret(sip_secret(namespace, name, values), plain_comment(), plain=True)
    empty = sip_secret(namespace, name, {USERNAME_KEY: "", PASSWORD_KEY: ""})
    trunk = Kind.INBOUND_TRUNK if path == INBOUND_CREDENTIALS else Kind.OUTBOUND_TRUNK
    return WrittenSecret(empty, stub_comment(" ".join(why.rstrip(".").split()), namespace, name, trunk.label))


def _texts(login: Login) -> Mapping[str, str] | None:
    username, password = login.username, login.password
    if password is None or username.text is None or password.text is None:
        return None
    return {USERNAME_KEY: username.text.get_secret_value(), PASSWORD_KEY: password.text.get_secret_value()}
