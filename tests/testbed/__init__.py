"""Test bed: a real API server and a real LiveKit on 127.0.0.1, without a container engine.

Import the module that holds what you need: `bed` (everything together), `livekit_parts` (Redis and LiveKit alone),
`operator_process`, `livekit_proxy`. Nothing starts at import. The package imports nothing from `byoc_operator`: it
knows the operator only as a process with an environment, so that tests meet it as a cluster would.
"""
