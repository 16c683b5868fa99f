"""Milvus and the exact oracle."""
