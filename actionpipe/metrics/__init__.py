"""Metrics of labels and scores."""
