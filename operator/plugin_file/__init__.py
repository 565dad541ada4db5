"""Makes `kubectl byoc` one file: `python -m plugin_file` packs the package and its libraries; `starter` goes inside.

The file needs a Python of a version that it has libraries for, and nothing else. It is no part of the package
`byoc_operator` and imports nothing from it.
"""
