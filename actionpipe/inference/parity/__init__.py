"""Comparing an engine with the reference engine."""
