"""Algorithms held against one another: a suite of runs, and the report on it."""
