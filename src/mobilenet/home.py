"""Users without a home folder or a name, as in a container that runs under a bare user id.

Libraries look both up, some of them while they are imported, and raise errors that say little.
"""

import os

__all__ = ["missing_home"]

_HOME = "Could not determine home directory."
_NAMES = ("getpwuid(): uid not found", "No username set in the environment")


def missing_home(error: BaseException) -> str | None:
    """What to do about an error of `Path.home()` or `getpass.getuser()`, in one line; None for any other error."""
    text = str(error.args[0]) if error.args else ""
    if isinstance(error, RuntimeError) and text == _HOME:
        return f"user {os.getuid()} has no home folder; set HOME to a folder that can be written to"
    if isinstance(error, (KeyError, OSError)) and text.startswith(_NAMES):
        return f"user {os.getuid()} has no name; set USER to one"
    return None
