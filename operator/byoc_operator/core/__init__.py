"""The decision about one `ByocPhoneNumber`: its verdict, the changes in LiveKit, its status. Values in, values out.

The steps:

1. `snapshot`: LiveKit's lists. `trunk`, `fields`: the values in it. `ownership`: marks, and which object owns what.
2. `holders`, with the rules of `claims`: which object has the number, and why the others do not get it.
3. `credentials`, `secret_facts`, `masking`: what a Secret has.
4. `situation.situation_of`: everything of the steps before, with `adoption`.
5. `assessment.assess`: `checks` and `conflict` give the verdict, `desired` and `plan` the changes, `findings` the rest.
   `foreign_rules` and `matching` compute what foreign rules do to calls.
6. `status.status_of`: the status, with the URI of `origination`. `run_outcome`: when the next run is due.

`orphans` finds LiveKit objects whose object is gone. Every other package but `api`, `process` and `telemetry` may use
all of `core`. Pure: no I/O, no clock (`now` is an argument), no logging, no kopf, kubernetes or livekit; a test reads
the imports.

Imports: api, errors.
"""
