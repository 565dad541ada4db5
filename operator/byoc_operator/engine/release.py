"""Releases what an administrator names on the Lease (`kubectl byoc release`)."""

import logging

from ..core.orphans import asked_to_release
from ..errors import OperatorError
from .orphan_search import OrphanSearch
from .role import Role
from .tasks import Tasks

log = logging.getLogger(__name__)


class Releases:
    """Hears the Lease's annotation and has the named LiveKit objects deleted; the next sweeps try again."""

    def __init__(self, orphans: OrphanSearch, role: Role, tasks: Tasks) -> None:
        self._orphans = orphans
        self._role = role
        self._tasks = tasks

    def asked(self, text: str) -> None:
        """The annotation changed, or was seen for the first time."""
        self._orphans.asked = asked_to_release(text)
        if self._role.leading:
            self._tasks.run_aside(self._release(), "release")

    async def _release(self) -> None:
        try:
            await self._orphans.release()
        except OperatorError as exc:
            log.warning("nothing can be released just now, the next sweep tries again: %s", exc.message)
        except Exception as exc:  # noqa: BLE001 - the request stays on the Lease: a bug must not end each new leader
            log.error("a bug: %s while releasing what the Lease names", type(exc).__name__)  # noqa: TRY400 - as in runs
