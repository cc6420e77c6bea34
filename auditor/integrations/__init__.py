"""Adapters to training libraries, one library a file; each attaches and wraps nothing."""
