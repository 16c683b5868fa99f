"""Feast: online rows, the offline log, point-in-time sets. The only package that imports feast and redis."""
