"""Videos: find, probe, decode, choose frames, store them, keep a manifest."""
