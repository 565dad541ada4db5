"""The commands of `kubectl byoc`. Nothing imports this package.

A command talks to the API server through `cluster` and never starts an engine.

Imports: diagnosis, cluster, sealing, core, api, errors.
"""
