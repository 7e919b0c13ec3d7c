"""Datasets and samplers of training."""
