"""Feast: online rows, the offline log, point-in-time sets."""
