"""The Secrets of imported numbers: sealed, in plain text, or without values."""

from collections.abc import Mapping

from ..api.resource import Key
from ..api.secret_references import INBOUND_CREDENTIALS, RECORDING_STORAGES, SIP_PASSWORD
from ..errors import OperatorError
from .cluster import Cluster
from .import_credentials import StatedCredentials
from .import_files import Written, WrittenSecret, plain_comment, stub_comment
from .import_proof import Imported
from .options import Target
from .sealer import Sealer, sealer_for, sip_secret
from .terminal import tell


async def with_secrets(target: Target, cluster: Cluster, made: list[Imported], *, plain: bool) -> list[Written]:
    """The numbers with their Secrets: sealed, else in plain text where that is allowed, else without values."""
    known = any(stated.listed for each in made for stated in each.stated.credentials.values())
    sealer, why = await _sealer(target, cluster) if known else (None, "")
    if why:
        tell(f"the credentials cannot be sealed: {why}", head="note:")
    return [
        Written(
            each,
            tuple([await _secret(each, path, sealer, why, plain=plain) for path in each.stated.credentials]),
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
    stated = each.stated.credentials[path]
    values = _texts(stated)
    if values is None:
        why = f"LiveKit does not list {'them' if path in RECORDING_STORAGES.values() else 'the password'}"
    elif sealer is not None:
        try:
            return WrittenSecret(sip_secret(namespace, name, await sealer.sealed(namespace, name, values)))
        except OperatorError as exc:
            why = exc.message
    if values is not None and plain:
        return WrittenSecret(sip_secret(namespace, name, values), plain_comment(), plain=True)
    empty = sip_secret(namespace, name, dict.fromkeys(stated.values, ""))
    inbound = each.found.inbound
    shared = path == SIP_PASSWORD and inbound is not None and inbound.username is not None
    both_ways = shared and INBOUND_CREDENTIALS not in each.stated.credentials
    told = stub_comment(" ".join(why.rstrip(".").split()), Key(namespace, name), path, both_ways=both_ways)
    return WrittenSecret(empty, told)


def _texts(stated: StatedCredentials) -> Mapping[str, str] | None:
    """The texts of the values; None if one is not known."""
    texts = {key: each.text.get_secret_value() for key, each in stated.listed.items() if each.text is not None}
    return texts if len(texts) == len(stated.values) else None
