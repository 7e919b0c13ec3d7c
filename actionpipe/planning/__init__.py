"""A first competition file, proposed from the tables, the extracted frames and the machine."""
