"""The exceptions that the user is told of in one line."""


class InputError(Exception):
    """A fault in what the user gave: shown as one line on stderr, exit code 2."""


class BrokenVideo(Exception):  # noqa: N818 - it is not an error of the program, all that came before is good
    """A source that cannot be read to its end: `frame` is the index of the first frame that is lost, `reason` says why. Exit code 1."""

    def __init__(self, frame, reason):
        super().__init__(f"broken at frame {frame}: {reason}")
        self.frame = frame
        self.reason = reason
