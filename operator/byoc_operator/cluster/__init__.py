"""The API server: our own LIST, GET and PATCH. Watching is kopf's.

Every call has a timeout. Every failure leaves as an `errors.OperatorError`; `answers` has a class for each meaning of a
refusal. May import core, api and errors.
"""
