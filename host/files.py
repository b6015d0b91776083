# SPDX-License-Identifier: BSD-2-Clause
"""Files written whole or not at all, and only where a regular file is or can be."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from liquid_accel.errors import UserError


def check_replaceable(path: Path, what: str = "a file") -> None:
    """Raise `UserError` where something other than a regular file bears the name: renaming would destroy it."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing there, or nothing to be written there: the writing will say
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise UserError(f"{path}: cannot be written, it is {kind}; expected the name of {what}")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: `write` fills a temporary file beside it, which is then renamed."""
    check_replaceable(path)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it private
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); expected a writable file") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
