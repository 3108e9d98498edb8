"""Experience: how it is collected."""
