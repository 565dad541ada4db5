"""What writes files that are made from the code: the CRD, the reference, parts of the charts."""
