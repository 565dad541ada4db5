"""LiveKit's SIP API.

`gateway` is the port, `client` talks to the server, `guard` wraps the client in a circuit breaker and a rate limit, and
`inventory` shares one snapshot. `fake` replaces the server in tests. `room_port` and `rooms` are LiveKit's
rooms, agents and calls, as `kubectl byoc` uses them. No protobuf message leaves this package.

Imports: core, api, errors.
"""
