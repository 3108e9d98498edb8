"""Worlds in which agents must tell one another something."""
