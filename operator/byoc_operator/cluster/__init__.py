"""The client of the API server: LIST, GET, PATCH, POST. kopf does the watching.

Use `api.connect` for a connection, and one class for each thing: numbers, Secrets, Events, the Lease, rights. Every
request has a timeout, and every failure leaves this package as an `errors.OperatorError`; `answers` has a
class for each meaning of a refusal. `fake` stands in for tests.

Imports: core, api, errors.
"""
