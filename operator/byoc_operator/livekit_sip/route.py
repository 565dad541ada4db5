"""The way to LiveKit: the authorities that may sign its certificate, and the proxy before it.

A wrong file or a wrong variable is found when the way is made, before the first call. The messages name file and
variable, never the credentials of a proxy.
"""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from ..api.grammar import is_endpoint
from ..api.livekit_url import FORM, livekit_url
from ..errors import CannotRun

log = logging.getLogger(__name__)

CA_FILE: Final = "BYOC_LIVEKIT_CA_FILE"

MAX_CA_BYTES: Final = 2**20
"""Bytes of the file with authorities. All public authorities together take 250 kB."""

_PROXY_FORM: Final = (
    "must be the URL of an HTTP proxy, like http://proxy.example.com:3128 or http://user:password@host:3128"
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. `place`: its host and port as the environment has them; `user` empty: no credentials."""

    place: str
    user: str
    password: SecretStr


@dataclass(frozen=True, slots=True)
class Route:
    """`authorities`: what LiveKit's certificate is checked with, None: public authorities. `proxy` None: directly."""

    authorities: ssl.SSLContext | None = None
    proxy: Proxy | None = None


DIRECT: Final = Route()


def route_to(url: str, ca_file: Path | None, environment: Mapping[str, str]) -> Route:
    """The way to the LiveKit at `url`.

    `environment`: variables that may name a proxy; empty where none is wanted. Raises CannotRun with one line that
    names the variable.
    """
    proxy = _proxy(url, environment)
    if environment:
        log.info("LiveKit is reached %s", f"through the proxy {proxy.place}" if proxy else "without a proxy")
    return Route(_authorities(ca_file) if ca_file else None, proxy)


def _authorities(path: Path) -> ssl.SSLContext:
    """A context that trusts the certificates of the file, and no public authority."""
    try:
        size = path.stat().st_size
        if not path.is_file() or size > MAX_CA_BYTES:
            raise CannotRun(f"{CA_FILE}: {path} must be a file of at most {MAX_CA_BYTES // 2**20} MB")
        context = ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:  # an OSError too
        context = None
    except OSError as exc:
        raise CannotRun(f"{CA_FILE}: cannot read {path} ({type(exc).__name__})") from exc
    if context is None or not context.cert_store_stats()["x509"]:
        raise CannotRun(f"{CA_FILE}: {path} has no certificate in PEM form")
    return context


def _proxy(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy that the environment names for the URL, as curl and Go read these variables."""
    if not environment:
        return None
    server = livekit_url(url)
    if server is None:
        raise CannotRun(f"LIVEKIT_URL: {FORM}")
    variable = "HTTPS_PROXY" if server.secure else "HTTP_PROXY"
    text = _variable(environment, variable).strip()
    if not text or _is_direct(server.host, server.port, _variable(environment, "NO_PROXY")):
        return None
    return _parsed(variable, text)


def _parsed(variable: str, text: str) -> Proxy:
    """The proxy in the text of a variable."""
    try:
        named = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:  # its message quotes user and password
        raise CannotRun(f"{variable}: {_PROXY_FORM}") from None
    login, _, place = named.netloc.rpartition("@")
    user, _, password = login.partition(":")
    fits = named.scheme == "http" and is_endpoint(place) and named.path in ("", "/") and ":" not in unquote(user)
    if not fits or named.query or named.fragment:
        raise CannotRun(f"{variable}: {_PROXY_FORM}")
    if not unquote(login).isascii():  # proxies disagree about the encoding of anything else
        raise CannotRun(f"{variable}: user and password of the proxy must be ASCII")
    return Proxy(place, unquote(user), SecretStr(unquote(password)))


def _variable(environment: Mapping[str, str], name: str) -> str:
    """The value of a variable in either spelling; the lower-case one counts first."""
    return environment.get(name.lower()) or environment.get(name, "")


def _is_direct(host: str, port: int, exceptions: str) -> bool:
    """Whether NO_PROXY names the host: itself, a domain above it, a range of addresses, or `*` for every host."""
    return any(_names(entry.strip().lower(), host, port) for entry in exceptions.split(","))


def _names(entry: str, host: str, port: int) -> bool:
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        domain = entry.removesuffix(f":{port}").removeprefix("*").removeprefix(".")
        return entry == "*" or (domain != "" and f".{host}".endswith(f".{domain}"))
