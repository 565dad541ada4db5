"""LiveKit's SIP API.

`gateway` is the port, `client` talks to the server, `guard` stands in front of the client, and `inventory` shares one
snapshot. `fake` stands in for tests. No protobuf message leaves this package.

Imports: core, api, errors.
"""
