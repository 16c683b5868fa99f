"""The Kafka consumers: fold events into feature rows, archive them, keep dead letters."""
