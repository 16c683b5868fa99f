"""The generation: build, verify, publish, roll back."""
