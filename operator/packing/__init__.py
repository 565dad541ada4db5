"""What is taken out of libraries before they are shipped, in the image and in `kubectl-byoc`.

The standard library only: the image is built with it before any library is there.
"""
