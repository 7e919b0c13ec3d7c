"""Recipes (HOW one model is trained and tested): found, checked, and joined with a competition."""
