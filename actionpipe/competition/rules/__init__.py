"""The kinds of fusion rules, and how they are applied one after another."""
