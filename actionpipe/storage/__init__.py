"""Files: where they lie, how they are read, checked, locked and written whole."""
