"""The installation's ID, where no setting names it: the UID of the namespace kube-system."""

import asyncio
import logging

from .api.carriers import Catalogue
from .cluster.answers import ApiRefused
from .cluster.api import ClusterApi
from .core.desired import Installation
from .errors import CannotRun, Unavailable
from .installation_settings import InstallationSettings

log = logging.getLogger(__name__)

CLUSTER_RETRY_S = 2.0


async def installation_of(settings: InstallationSettings, api: ClusterApi, carriers: Catalogue) -> Installation:
    """The installation of these settings and presets. Without `BYOC_INSTALLATION_ID`, its ID is the UID of kube-system.

    Waits for the API server. Raises CannotRun if the API server refuses to tell the UID.
    """
    return settings.installation("" if settings.installation_id else await _cluster_id(api), carriers)


async def _cluster_id(api: ClusterApi) -> str:
    """The UID of the namespace kube-system, which identifies a cluster and never changes."""
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
