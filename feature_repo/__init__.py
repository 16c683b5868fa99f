"""The Feast repository: what `feast apply`, `feast ui` and a reader find."""
