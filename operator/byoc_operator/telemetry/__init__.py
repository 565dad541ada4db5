"""Observability of the process: metrics, `/healthz` and `/readyz`, logs, the state of the watches.

Imports: process, api.
"""
