"""Makes the root file system of the image: deploy/Dockerfile calls `python3 -m image_root STEP` in its first stage.

It runs on the base image's own Python, before any library is installed, so it needs the standard library only. It is no
part of the package `byoc_operator` and imports nothing from it.
"""
