"""`python -m bench`: compares the operator with a bare client that makes the same writes and calls and nothing else.

Both run as processes of their own on the same test bed, one after the other, each in a fresh namespace and on an empty
LiveKit. No figure fails a run: a run fails only when something did not work.
"""
