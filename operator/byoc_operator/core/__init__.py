"""The decision: values in, values out. What a number should become, what LiveKit has, what to change.

Every other package but `api` may use all of it. Pure: no I/O, no clock (`now` is an argument), no logging, no kopf,
kubernetes or livekit; a test reads the imports.

Imports: api, errors.
"""
