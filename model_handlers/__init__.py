"""The TorchServe handler and its archive."""
