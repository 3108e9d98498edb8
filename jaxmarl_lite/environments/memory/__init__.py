"""Worlds that ask for what was seen before."""
