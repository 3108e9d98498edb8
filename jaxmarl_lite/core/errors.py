"""The two ways in which a request can fail, told apart so that the command line can answer with the right status."""


class SettingError(ValueError):
    """A value that the caller gave cannot be used; the message names it and says what is allowed."""


class RunError(RuntimeError):
    """Something that was asked for correctly could not be done; the message says what happened and what to do."""
