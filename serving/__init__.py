"""Servers: the KServe retrieval server, the ranking guard, the gateway."""
