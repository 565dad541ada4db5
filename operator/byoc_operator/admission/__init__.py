"""The mutating webhook that seals labelled Secrets when they are written.

Use `webhook.Webhook` with a server, certificates and a configuration. `review` decides, without I/O.

Imports: process, cluster, sealing, core, api, errors.
"""
