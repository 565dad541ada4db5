"""The socket of a port of ours."""

import errno
import socket

_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


def listening(number: int) -> socket.socket:
    """A socket that takes IPv4 and IPv6, or IPv4 where there is no IPv6. Raises OSError if the port is taken."""
    try:
        listener = socket.create_server(("", number), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
    except (OSError, ValueError) as exc:
        if isinstance(exc, OSError) and exc.errno not in _NO_IPV6:
            raise
        listener = socket.create_server(("", number), backlog=128)
    listener.setblocking(False)
    return listener
