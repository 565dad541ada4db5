"""Sealing at admission: a mutating webhook that seals labelled Secrets before they are stored, whoever writes them.

- `webhook`: the server, with the task that renews its certificate; `server`: the HTTPS port.
- `request`: parses a request body; `review`: makes the response; `manifest`: reads the parts of a Secret. No I/O.
- `certificates`, `storage`, `webhook_configuration`: make the certificate, store it, and tell the API server about it.

`wiring` creates the webhook from these parts.

Imports: process, cluster, sealing, core, api, errors.
"""
