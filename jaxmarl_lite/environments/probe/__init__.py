"""Tiny worlds in which the right values and actions are known: a learner that fails one of them has that fault."""
