"""The credentials of a set of LiveKit's objects, sorted by the reference of a spec that has to name them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..api.secret_references import INBOUND_CREDENTIALS, SIP_PASSWORD
from ..core.credentials import Field, problem_of
from ..core.trunk import Masked, Trunk
from .import_sets import ImportSet


class NotSaid(Exception):
    """A set has something that no spec can say. The text is for the user and holds no credential."""


@dataclass(frozen=True, slots=True)
class Login:
    """The user name and the password of a trunk. `password`: None if LiveKit does not list it."""

    username: Masked
    password: Masked | None = field(default=None, repr=False)


def logins(found: ImportSet) -> Mapping[str, Login]:
    """The credentials of a set by the path of the reference; empty if it has none. Raises `NotSaid`.

    Callers that must prove what the outbound trunk proves need no reference of their own. Where LiveKit lists no
    passwords, equal user names count as equal credentials.
    """
    ours = _login(found.outbound)
    theirs = None if found.inbound is None else _login(found.inbound)
    by_path = {SIP_PASSWORD: ours, INBOUND_CREDENTIALS: None if theirs == ours else theirs}
    return {path: each for path, each in by_path.items() if each is not None}


def _login(trunk: Trunk) -> Login | None:
    what = f"its {trunk.kind.label}"
    username, password = trunk.username, trunk.password
    if username is None and password is None:
        return None
    if username is None:
        raise NotSaid(f"{what} has a password without a user name")
    if password is None and trunk.password_listed:
        raise NotSaid(f"{what} has a user name without a password")
    for name, value in ((Field.USERNAME, username), (Field.PASSWORD, password)):
        problem = problem_of(value.text.get_secret_value(), name) if value is not None and value.text else ""
        if problem:
            raise NotSaid(f"the {name} of {what} cannot stand in a Secret: {problem}")
    return Login(username, password)
