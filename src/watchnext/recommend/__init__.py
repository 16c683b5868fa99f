"""What the servers call: retrieval, sources, filters, the ladder, explanations. Knows no kserve."""
