"""What `kubectl byoc doctor` finds: values in, checks out.

- `check`: the value that everything here returns.
- `chain`: all links of a call's chain, made of the `facts` that were read; `judgement`: what the operator would do.
  The links are in `object_links`, `secret_links`, `operator_links`, `livekit_links`, `trunk_links` and
  `encryption_links`. No I/O.
- `call`: whether LiveKit would accept a call, and what stops it. No I/O.
- `carrier_steps`: what to enter at the carrier, with the values of one number. No I/O.
- `sip_answers`, `agent_answers`: what it means that a call was not connected, or that an agent did not come. No I/O.
- `target`: where a look at the network goes.
- `network`: what a host answers to DNS, TCP, TLS and SIP. Each step is bounded in time and size. It is made of
  `names` (DNS), `exchange` (connections), `certificate` and `sip_message` (no I/O).

`cli` may use all modules. The operator itself uses none of them.

Imports: core, api.
"""
