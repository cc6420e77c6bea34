"""Checks of bias."""
