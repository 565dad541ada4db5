"""Everything about Fernet keys: sealed values, the Secret with the keys, and the task that keeps it.

- `sealed`: `KeyRing` seals and opens texts (`str` in, `str` out) for one namespace and field. No I/O.
- `uses`: which key each sealed value of a Secret needs. No I/O.
- `store`: the Secret with the keys; `SealingKeys` reads it, creates it and opens values with what it read.
- `freshness`: the same keys for the webhook, never older than some seconds.
- `keeper`: the leader's task that decides when keys are made and tells what is wrong with them.

`wiring`, `admission` and `cli` may use all modules; the engine uses `keeper` only. `cluster` does not import this
package: `cluster.secrets` opens values with what fits its `Opener`.

Imports: cluster, core, api, errors.
"""
