"""Datasets, transforms, metrics and hooks that mmaction2 lacks, registered with it."""
