"""Sealing at admission: a mutating webhook that seals labelled Secrets before they are stored, whoever writes them.

- `webhook`: the server with the task that keeps its certificate; `server`: the HTTPS port.
- `request`: what a request body holds; `review`: what the webhook answers. No I/O.
- `certificates`, `storage`, `webhook_configuration`: the certificate, where it is kept, and who trusts it.

`wiring` uses `webhook` with the parts that it is made of.

Imports: process, cluster, sealing, core, api, errors.
"""
