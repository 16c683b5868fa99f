"""Feast definitions, built from `watchnext.contracts.rows`."""
