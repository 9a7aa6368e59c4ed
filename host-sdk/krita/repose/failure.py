"""What went wrong, sorted by who can act as in repose.h, with a sentence for the user."""

from . import abi


class Failure(Exception):
    """A status code and a sentence for the user."""

    def __init__(self, message, code=abi.REPOSE_CALLER):
        super().__init__(message)
        self.code = code
