"""Releases the LiveKit IDs that an administrator writes on the Lease with `kubectl byoc release`."""

import logging

from ..core.orphans import asked_to_release
from ..errors import OperatorError
from .orphan_search import OrphanSearch
from .role import Role
from .tasks import Tasks

log = logging.getLogger(__name__)


class Releases:
    """Follows the Lease's annotation and deletes the LiveKit objects that it names. Each sweep tries again."""

    def __init__(self, orphans: OrphanSearch, role: Role, tasks: Tasks) -> None:
        self._orphans = orphans
        self._role = role
        self._tasks = tasks

    def asked(self, text: str) -> None:
        """Handle a new value of the annotation: LiveKit IDs, as `core.orphans.asked_to_release` reads them."""
        self._orphans.asked = asked_to_release(text)
        if self._role.leading:
            self._tasks.run_aside(self._release(), "release")

    async def _release(self) -> None:
        try:
            await self._orphans.release()
        except OperatorError as exc:
            log.warning("nothing can be released just now, the next sweep tries again: %s", exc.message)
        except Exception as exc:  # noqa: BLE001 - the request stays on the Lease, so a bug would end each new leader
            log.error("a bug: %s while releasing what the Lease names", type(exc).__name__)  # noqa: TRY400 - as in runs
