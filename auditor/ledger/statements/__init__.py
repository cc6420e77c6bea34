"""in-toto."""
