"""Searching for settings: many trials as one program."""
