"""Checks of data provenance."""
