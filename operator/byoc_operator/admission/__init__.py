"""Sealing at admission: a mutating webhook that stores labelled Secrets sealed, whoever writes them and however.

`__main__` imports `webhook`; `review` is the decision, without I/O. May import `connections`, `cluster`,
`sealing`, `core`, `errors`.
"""
