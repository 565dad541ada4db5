"""Reads LiveKit's API key from mounted files, so that a new key in the Secret needs no restart."""

import logging
from dataclasses import dataclass

from pydantic import SecretStr

from .errors import CannotRun
from .livekit_sip.client import LiveKitClient
from .settings import Settings

log = logging.getLogger("byoc_operator.main")


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
