"""The competition file (WHAT is to be solved) and the rules that it may name."""
