"""LiveKit's address, and its API key from mounted files: a new key in the Secret needs no restart."""

import logging
from dataclasses import dataclass

from pydantic import SecretStr

from .errors import CannotRun
from .livekit_sip.client import LiveKitClient
from .livekit_sip.endpoint import Endpoint, is_cloud
from .livekit_sip.route import route_to
from .settings import Settings

log = logging.getLogger("byoc_operator.main")


def endpoint_of(settings: Settings) -> Endpoint:
    """LiveKit's address, the way there, and the API key as it is mounted now. Raises CannotRun."""
    key, secret = settings.livekit_credentials()
    return Endpoint(
        url=settings.livekit_url,
        key=key,
        secret=secret,
        timeout_s=settings.livekit_timeout_s,
        concurrency=settings.livekit_concurrency,
        paged=is_cloud(settings.livekit_url),
        route=route_to(settings.livekit_url, settings.livekit_ca_file, settings.proxy_variables),
    )


@dataclass
class MountedKey:
    """LiveKit's API key as last read. `known`: API key and secret."""

    settings: Settings
    client: LiveKitClient
    known: tuple[str, SecretStr]

    def reload(self) -> bool:
        """Read the files again, and use a new key. Returns whether there was a new key."""
        try:
            found = self.settings.livekit_credentials()
        except CannotRun as exc:
            log.warning("LiveKit's API key cannot be read again: %s", exc.message)
            return False
        if found == self.known:
            return False
        self.known = found
        self.client.set_credentials(*found)
        log.info("LiveKit refused the API key; another one is mounted and used from now on")
        return True
