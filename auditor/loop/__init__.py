"""The observer of a training loop: attached, not wrapped; it changes nothing and counts its cost."""
