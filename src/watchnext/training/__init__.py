"""The pipeline's stages, one file each, reading from top to bottom."""
