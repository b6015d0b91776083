# SPDX-License-Identifier: BSD-2-Clause
"""A folder of built things, named by the hash of all that went into them, shared safely between processes."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

KEEP = 16  # built things of one kind; each is about a megabyte


def cache_folder(kind: str) -> Path:
    """Return ~/.cache/liquid-accel/`kind` (below XDG_CACHE_HOME where that is set), made where it is missing.

    Where the home folder cannot be written, a folder of this user's own below the temporary folder takes its place.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liquid-accel" / kind
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    user = os.getuid() if hasattr(os, "getuid") else 0
    spare = Path(tempfile.gettempdir()) / f"liquid-accel-{user}" / kind
    spare.mkdir(parents=True, exist_ok=True, mode=0o700)
    return spare


def key(parts: Iterable[str]) -> str:
    """Return a name of 32 hexadecimal digits for everything in `parts`; order and borders count."""
    digest = hashlib.sha256()
    for part in parts:
        blob = part.encode()
        digest.update(len(blob).to_bytes(8, "little"))
        digest.update(blob)
    return digest.hexdigest()[:32]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path` (a file `path`.lock beside it), waiting its turn; a process that dies lets go."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: both build, and the last rename wins
        yield
        return
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prune(folder: Path, suffix: str, keep: int = KEEP) -> None:
    """Remove all but the `keep` files `*suffix` that were used last, with their locks."""
    with contextlib.suppress(OSError):
        files = sorted(folder.glob(f"*{suffix}"), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in files[keep:]:
            old.unlink(missing_ok=True)
            old.with_name(old.name + ".lock").unlink(missing_ok=True)
