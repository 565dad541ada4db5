"""Opens the listening socket of a TCP port."""

import errno
import socket

_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


def listening(number: int) -> socket.socket:
    """A socket for IPv4 and IPv6, or for IPv4 only if the host has no IPv6. Raises OSError if the port is taken."""
    try:
        listener = socket.create_server(("", number), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
    except (OSError, ValueError) as exc:
        if isinstance(exc, OSError) and exc.errno not in _NO_IPV6:
            raise
        listener = socket.create_server(("", number), backlog=128)
    listener.setblocking(False)
    return listener
