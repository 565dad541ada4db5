"""The commands of `kubectl byoc`. Nothing imports this package.

A command talks to the API server through `cluster` and never starts an engine.

Imports: diagnosis, livekit_sip, cluster, sealing, installation_settings, core, api, errors.
"""
