"""Training loops that other libraries run: one library a file, each needs its extra."""
