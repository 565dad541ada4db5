"""The API server: our own LIST, GET and PATCH. Watching is kopf's.

May import `core`, `api` and `errors`. Every call has a timeout; every failure leaves as an `errors.OperatorError`.
"""
