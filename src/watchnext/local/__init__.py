"""Starts and stops the local servers."""
