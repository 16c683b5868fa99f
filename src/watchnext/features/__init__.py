"""Pure features: the standard library, numpy and torch alone, so that the ranker's archive can carry them."""
