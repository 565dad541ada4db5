"""The MutatingWebhookConfiguration, whose `caBundle` tells the API server which authorities to trust."""

import base64
import logging

from ..cluster.port import JSON_PATCH, JsonApi

log = logging.getLogger(__name__)

_RESOURCE = "mutatingwebhookconfigurations"
_PATH = f"/apis/admissionregistration.k8s.io/v1/{_RESOURCE}"


class WebhookConfiguration:
    """The configuration of this name. The installation creates it; the operator changes only `caBundle`."""

    def __init__(self, api: JsonApi, name: str) -> None:
        self._api = api
        self._name = name

    async def trust(self, authorities: bytes) -> None:
        """Set these authorities (PEM) in every webhook of the configuration. Raises ApiRefused, Unavailable."""
        wanted = base64.b64encode(authorities).decode()
        found = await self._api.request("GET", f"{_PATH}/{self._name}", resource=_RESOURCE)
        differing = [
            index
            for index, webhook in enumerate(found.get("webhooks") or ())
            if webhook["clientConfig"].get("caBundle") != wanted
        ]
        if not differing:
            return
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]},
            *(
                {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": wanted}
                for index in differing
            ),
        ]
        path = f"{_PATH}/{self._name}"
        await self._api.request("PATCH", path, resource=_RESOURCE, body=patch, content_type=JSON_PATCH)
        log.info("the API server now trusts the certificate of the webhook (%s)", self._name)
