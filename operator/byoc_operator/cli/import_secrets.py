"""The Secrets of imported numbers: sealed, in plain text, or without values."""

from collections.abc import Mapping

from ..core.credentials import USERNAME_KEY
from ..core.trunk import Masked
from ..errors import OperatorError
from .cluster import Cluster
from .import_files import Written, plain_comment, stub_comment
from .import_proof import PASSWORD_KEY, Imported
from .options import Target
from .sealer import Sealer, sealer_for, sip_secret
from .terminal import tell


async def with_secrets(target: Target, cluster: Cluster, made: list[Imported], *, plain: bool) -> list[Written]:
    """The numbers with their Secrets: sealed, else in plain text where that is allowed, else without values."""
    known = any(each.stated.has_credentials and not each.stated.unknown for each in made)
    sealer, why = await _sealer(target, cluster) if known else (None, "")
    if why:
        tell(f"the credentials cannot be sealed: {why}", head="note:")
    return [await _with_secret(each, sealer, why, plain=plain) for each in made]


async def _sealer(target: Target, cluster: Cluster) -> tuple[Sealer | None, str]:
    try:
        return await sealer_for(cluster.api, target.operator_namespace), ""
    except OperatorError as exc:
        return None, exc.message


async def _with_secret(each: Imported, sealer: Sealer | None, why: str, *, plain: bool) -> Written:
    said, name, namespace = each.stated, each.secret, each.key.namespace
    if not said.has_credentials:
        return Written(each)
    values = _texts(said.username, said.password)
    if values is None:
        why = "LiveKit does not list the password"
    elif sealer is not None:
        try:
            return Written(each, sip_secret(namespace, name, await sealer.sealed(namespace, name, values)))
        except OperatorError as exc:
            why = exc.message
    if values is not None and plain:
        return Written(each, sip_secret(namespace, name, values), plain_comment(), plain=True)
    empty = sip_secret(namespace, name, {USERNAME_KEY: "", PASSWORD_KEY: ""})
    return Written(each, empty, stub_comment(" ".join(why.rstrip(".").split()), namespace, name))


def _texts(username: Masked | None, password: Masked | None) -> Mapping[str, str] | None:
    if username is None or password is None or username.text is None or password.text is None:
        return None
    return {USERNAME_KEY: username.text.get_secret_value(), PASSWORD_KEY: password.text.get_secret_value()}
