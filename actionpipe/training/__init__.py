"""Building and running an mmengine Runner from a recipe."""
