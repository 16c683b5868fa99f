"""Offline measures of retrieval and ranking, and the simple contenders that a model must beat."""
