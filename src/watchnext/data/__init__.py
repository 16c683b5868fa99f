"""Readers of real data sets, the simulator, time splits, label building."""
