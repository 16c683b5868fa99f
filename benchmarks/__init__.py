"""Measurements: interleaved rounds, ratios beside raw figures, a control of A against A. They run outside CI."""
