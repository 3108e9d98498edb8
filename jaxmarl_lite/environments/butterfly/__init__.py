"""Worlds of rigid bodies, after the butterfly family of PettingZoo."""
