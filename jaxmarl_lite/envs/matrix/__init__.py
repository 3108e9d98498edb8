"""Repeated normal-form games."""
