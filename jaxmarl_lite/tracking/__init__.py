"""Telling experiment trackers of a run, each through its own library; a run never needs one."""
