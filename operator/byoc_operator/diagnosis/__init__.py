"""What `kubectl byoc doctor` finds out beyond the cluster and LiveKit's lists: values in, checks out.

- `check`: the value that everything here returns.
- `call`: whether LiveKit would accept a call, and what stops it. No I/O.
- `carrier_steps`: what to enter at the carrier, with the values of one number. No I/O.
- `network`: what a host answers to DNS, TCP, TLS and SIP. Each step is bounded in time and size.

`cli` may use all modules. The operator itself uses none of them.

Imports: core, api.
"""
