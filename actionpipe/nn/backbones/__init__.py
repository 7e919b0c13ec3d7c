"""Backbones that mmaction2 lacks."""
