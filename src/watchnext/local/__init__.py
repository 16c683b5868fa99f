"""Prepares, starts, watches and stops the servers of one machine; `docs/local.md` is the tour.

`prepare` and what it imports (`prerequisites`, `downloads`, `kafka`, `probes`, `servers`) need the standard library
only: they run before the virtual environment exists.
"""
