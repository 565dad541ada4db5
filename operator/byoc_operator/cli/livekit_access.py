"""Where LiveKit is and with which key a command reads it: the environment, a file, or what the operator itself uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from ..api.encoding import from_base64
from ..api.livekit_url import FORM, livekit_url
from ..cluster.answers import Forbidden, Unauthorized
from ..errors import CannotRun, OperatorError
from ..livekit_sip.endpoint import TIMEOUT_S, Endpoint, is_cloud
from ..livekit_sip.route import CA_FILE, DIRECT, Route, route_to
from .cluster import Cluster
from .exit_codes import ExitCode, Refused, failure
from .operator_finder import DEPLOYMENT, SETTINGS, Operator, why_not

MAX_KEY_FILE = 64 * 1024

_URL, _KEY, _SECRET = "LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"
_PROXY, _PROXY_POLICIES = "BYOC_LIVEKIT_PROXY", ("", "None", "Environment")


@dataclass(frozen=True, slots=True)
class LiveKitAccess:
    """A LiveKit that can be read. `source`: where the key comes from, in words."""

    url: str
    key: str
    secret: SecretStr
    source: str
    route: Route = DIRECT

    def endpoint(self, timeout_s: float = TIMEOUT_S) -> Endpoint:
        """LiveKit as its clients are given it. `timeout_s`: seconds for one call."""
        return Endpoint(self.url, self.key, self.secret, timeout_s, paged=is_cloud(self.url), route=self.route)


@dataclass(frozen=True, slots=True)
class NoLiveKit:
    """LiveKit cannot be read, so what it holds is unknown. `why`: a sentence for the user.

    `lacks_a_right`: whether the user could read it with more rights.
    """

    why: str
    lacks_a_right: bool = False

    def refused(self) -> Refused:
        """The end of a command that cannot do without LiveKit."""
        return Refused(f"LiveKit cannot be read: {self.why}", failure(lacks_a_right=self.lacks_a_right))


async def livekit_access(
    cluster: Cluster, operator: Operator, key_file: str | None, environ: Mapping[str, str]
) -> LiveKitAccess | NoLiveKit:
    """The first of: the file, the environment, the operator's Secret. Raises `Refused` for a file that is wrong.

    The way there is the environment's own, as the operator reads it: the user's machine may need another proxy.
    """
    url = environ.get(_URL) or operator.livekit_url
    key, secret, source = _from_file(key_file) if key_file else _from_environment(environ)
    if not (key and secret):
        found = await _from_secret(cluster, operator)
        if isinstance(found, NoLiveKit):
            return found
        key, secret, source = found
    if not url:
        why = f"LIVEKIT_URL is not set, and the operator's settings are not known{_because(operator, SETTINGS)}"
        return NoLiveKit(why, operator.lacks_a_right(SETTINGS))
    if livekit_url(url) is None:
        if environ.get(_URL):
            raise Refused(f"{_URL}: {FORM}", ExitCode.USAGE)
        return NoLiveKit(f"the operator's setting {_URL} {FORM}")
    return LiveKitAccess(url, key, SecretStr(secret), source, _route(url, environ))


def _route(url: str, environ: Mapping[str, str]) -> Route:
    """The way to LiveKit by the same variables as the operator's. Raises `Refused`."""
    policy, ca_file = environ.get(_PROXY, ""), environ.get(CA_FILE)
    if policy not in _PROXY_POLICIES:
        raise Refused(f"{_PROXY}: must be None or Environment", ExitCode.USAGE)
    try:
        return route_to(url, Path(ca_file) if ca_file else None, environ if policy == "Environment" else {})
    except CannotRun as exc:
        raise Refused(exc.message, ExitCode.USAGE) from None


def _from_file(path: str) -> tuple[str, str, str]:
    """Key and secret of a file with a line `key: secret`, as livekit-server's own key file has it."""
    text = _read("--livekit-key-file", path)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    key, colon, secret = lines[0].partition(":") if len(lines) == 1 else ("", "", "")
    key, secret = (each.strip().strip("\"'") for each in (key, secret))
    if not (key and colon and secret):
        raise Refused("--livekit-key-file: the file must have one line, `key: secret`", ExitCode.USAGE)
    return key, secret, "--livekit-key-file"


def _from_environment(environ: Mapping[str, str]) -> tuple[str, str, str]:
    def value(name: str) -> str:
        path = environ.get(f"{name}_FILE")
        return _read(f"{name}_FILE", path).strip() if path else environ.get(name, "")

    return value(_KEY), value(_SECRET), "the environment"


def _read(what: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_KEY_FILE).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused(f"{what}: the file cannot be read ({type(exc).__name__})", ExitCode.USAGE) from None


async def _from_secret(cluster: Cluster, operator: Operator) -> tuple[str, str, str] | NoLiveKit:
    hint = "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or --livekit-key-file"
    if not operator.livekit_secret:
        why = f"no key for LiveKit is known{_because(operator, DEPLOYMENT)}; {hint}"
        return NoLiveKit(why, operator.lacks_a_right(DEPLOYMENT))
    where = f"Secret {operator.namespace}/{operator.livekit_secret}"
    try:
        raw = await cluster.secret(operator.namespace, operator.livekit_secret)
    except Unauthorized:
        raise
    except OperatorError as exc:
        return NoLiveKit(f"{where}: {why_not(exc)}; {hint}", isinstance(exc, Forbidden))
    data = (raw or {}).get("data") or {}
    key, secret = ((from_base64(str(data.get(name, ""))) or "").strip() for name in (_KEY, _SECRET))
    if not (key and secret):
        return NoLiveKit(f"{where} has no {_KEY} and {_SECRET}; {hint}")
    return key, secret, where


def _because(operator: Operator, parts: tuple[str, ...]) -> str:
    """Why parts of the operator are not known, as the end of a sentence."""
    why = operator.why_unknown(parts)
    return f" ({why})" if why else ""
