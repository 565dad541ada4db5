"""The Secrets of imported numbers: sealed, in plain text, or without values."""

from collections.abc import Mapping

from ..api.secret_references import SIP_PASSWORD
from ..core.trunk import Masked
from ..errors import OperatorError
from .cluster import Cluster
from .import_files import Written, WrittenSecret, plain_comment, stub_comment
from .import_proof import Imported
from .import_recording import StatedSecret
from .options import Target
from .sealer import Sealer, sealer_for, sip_secret
from .terminal import tell


async def with_secrets(target: Target, cluster: Cluster, made: list[Imported], *, plain: bool) -> list[Written]:
    """The numbers with their Secrets: sealed, else in plain text where that is allowed, else without values."""
    known = any(not secret.unknown for each in made for secret in each.stated.secrets)
    sealer, why = await _sealer(target, cluster) if known else (None, "")
    if why:
        tell(f"the credentials cannot be sealed: {why}", head="note:")
    written: list[Written] = []
    for each in made:
        secrets = [await _written(each, secret, sealer, why, plain=plain) for secret in each.stated.secrets]
        written.append(Written(each, tuple(secrets)))
    return written


async def _sealer(target: Target, cluster: Cluster) -> tuple[Sealer | None, str]:
    try:
        return await sealer_for(cluster.api, target.operator_namespace), ""
    except OperatorError as exc:
        return None, exc.message


async def _written(
    each: Imported, said: StatedSecret, sealer: Sealer | None, why: str, *, plain: bool
) -> WrittenSecret:
    name, namespace = each.names[said.reference], each.key.namespace
    values = _texts(said.values)
    if values is None:
        why = f"LiveKit does not list {'the password' if said.reference == SIP_PASSWORD else 'them'}"
    elif sealer is not None:
        try:
            return WrittenSecret(sip_secret(namespace, name, await sealer.sealed(namespace, name, values)))
        except OperatorError as exc:
            why = exc.message
    if values is not None and plain:
        return WrittenSecret(sip_secret(namespace, name, values), plain_comment(), plain=True)
    empty = sip_secret(namespace, name, dict.fromkeys(said.values, ""))
    return WrittenSecret(empty, stub_comment(" ".join(why.rstrip(".").split()), namespace, name, said.reference))


def _texts(values: Mapping[str, Masked | None]) -> Mapping[str, str] | None:
    """The texts of the values; None if one is not known."""
    texts = {key: each.text for key, each in values.items() if each is not None and each.text is not None}
    return {key: text.get_secret_value() for key, text in texts.items()} if len(texts) == len(values) else None
