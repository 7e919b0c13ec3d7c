"""Weights files: read safely, whoever wrote them, and fitted to a model."""
