"""Scoring clips and frames with trained models."""
