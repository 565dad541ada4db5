"""LiveKit's SIP API: the port (`gateway`), its real client, its fake, and the shared snapshot (`inventory`).

May import core and errors. Only `convert` and `client` know protobuf; no protobuf message leaves this package.
"""
