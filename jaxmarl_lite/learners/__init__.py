"""Learners: families of algorithms, and the presets that name their published points."""
