"""LiveKit's API key where it is mounted: a Secret that is changed there needs no restart."""

import logging
from dataclasses import dataclass

from pydantic import SecretStr

from .errors import CannotRun
from .livekit_sip.client import LiveKitClient
from .settings import Settings

log = logging.getLogger("byoc_operator.main")


@dataclass
class MountedKey:
    """LiveKit's API key as it was last read: a mounted Secret may hold another one by now."""

    settings: Settings
    client: LiveKitClient
    known: tuple[str, SecretStr]

    def reload(self) -> bool:
        """Read the files again; whether they hold another key, which is then used."""
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
