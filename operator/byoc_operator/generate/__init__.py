"""`python -m byoc_operator.generate`: writes the CRD, the reference and parts of the charts from the code.

Nothing imports this package.

Imports: cluster, core, api, settings, telemetry.
"""
