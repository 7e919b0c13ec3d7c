"""Ensemble and rules: scores and detections become one label per video."""
