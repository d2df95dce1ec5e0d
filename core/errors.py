"""The one exception that is the user's to mend."""


class InputError(Exception):
    """A fault in what the user gave: shown as one line on stderr, exit code 2."""
