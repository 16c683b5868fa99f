"""The gRPC API, generated from `proto/` by `make proto`; do not edit."""
