"""What this installation of the operator adds to every number, made of its settings."""

import asyncio
import logging

from .api.retain import at_most
from .cluster.answers import ApiRefused
from .cluster.api import ClusterApi
from .core.credentials import SecretRules
from .core.desired import Installation
from .errors import CannotRun, Unavailable
from .setting_choices import AdoptionPolicy, RefusedHostPolicy, SealingPolicy, SecretsPolicy
from .settings import Settings

log = logging.getLogger(__name__)

CLUSTER_RETRY_S = 2.0


async def installation_of(settings: Settings, api: ClusterApi) -> Installation:
    """What the settings add to every number. Where they name no ID, the API server is asked for the cluster's.

    Raises CannotRun if neither can be had.
    """
    ids = settings.installation_id or (await _cluster_id(api),)
    return Installation(
        ids=ids,
        live_kit=settings.livekit_host,
        agent_name=settings.agent_name,
        room_prefix=settings.room_prefix,
        sip_uri=settings.sip_uri,
        termination_hosts=settings.termination_hosts,
        removes_refused=settings.refused_hosts is RefusedHostPolicy.REMOVE,
        secret_rules=SecretRules(
            labelled_only=settings.secrets is SecretsPolicy.LABELLED,
            sealed_only=settings.sealing is SealingPolicy.REQUIRE,
        ),
        credentials_max_age_days=settings.credentials_max_age_days,
        adoption_allowed=settings.adoption is AdoptionPolicy.ALLOW,
        reservation_s=settings.reservation_s,
        retained_at_most=at_most(settings.retain),
    )


async def _cluster_id(api: ClusterApi) -> str:
    """The UID of kube-system: the one name of a cluster that never changes."""
    told = ""
    while True:
        try:
            namespace = await api.request("GET", "/api/v1/namespaces/kube-system", resource="namespaces")
        except Unavailable as exc:
            if exc.message != told:
                log.warning("waiting for the API server: %s", exc.message)
            told = exc.message
            await asyncio.sleep(CLUSTER_RETRY_S)
        except ApiRefused as exc:
            message = f"BYOC_INSTALLATION_ID: must be set, as the UID of kube-system cannot be read (HTTP {exc.status})"
            raise CannotRun(message) from exc
        else:
            return str(namespace["metadata"]["uid"])
