"""Worlds of cells."""
