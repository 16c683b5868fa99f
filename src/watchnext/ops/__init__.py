"""What operators look at: metrics, health, traces. Knows nothing of what the processes do."""
