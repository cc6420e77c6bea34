"""The observer of a training loop: attached, not wrapped; it changes nothing, counts its cost."""
