"""Datasets as others publish them: their lists read into the pipeline's tables, and written back."""
