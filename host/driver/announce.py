# SPDX-License-Identifier: BSD-2-Clause
"""Served devices make themselves known: a file for each in a folder of the user's, as long as its process lives.

The file is locked while the device is served, so that one whose process died, however it did, is known to be stale.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Announcement:
    """A device that some process serves: its terminal, the name of its image, its configuration, when it began (seconds
    since 1970)."""

    pid: int
    pty: str
    image: str
    config_hash: int
    lanes: int
    started: float

    @property
    def target(self) -> str:
        """What to pass to `--on`."""
        return f"uart:{self.pty}"


def runtime_folder() -> Path:
    """The user's folder for files of running processes; made where it is missing, for this user alone."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(runtime) / "liquid-accel" if runtime else Path(tempfile.gettempdir()) / f"liquid-accel-{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != user:
        # In a folder that all may write to, somebody else took the name.
        raise PermissionError(f"{folder} belongs to another user")
    return folder


@contextmanager
def announce(pty: str, *, image: str, config_hash: int, lanes: int) -> Iterator[Announcement]:
    """Announce the device on the pseudo-terminal `pty` while the context lasts.

    A folder that cannot be written to costs the announcement and nothing else.
    """
    made = Announcement(os.getpid(), str(pty), image, config_hash, lanes, time.time())
    file = None
    with suppress(OSError):
        file = _publish(made)
    try:
        yield made
    finally:
        if file is not None:
            path, handle = file
            with suppress(OSError):
                path.unlink(missing_ok=True)
            os.close(handle)


def _publish(made: Announcement) -> tuple[Path, int]:
    folder = runtime_folder()
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".new")
    _lock(handle)  # before it has its name: nobody ever sees it unlocked
    os.write(handle, json.dumps(asdict(made)).encode())
    path = folder / f"{made.pid}-{Path(made.pty).name}.json"
    Path(temporary).replace(path)
    return path, handle


def announced() -> list[Announcement]:
    """The devices that are served now, oldest first; files of those that are not any more are removed."""
    try:
        paths = sorted(runtime_folder().glob("*.json"))
    except OSError:
        return []
    found = []
    for path in paths:
        made = _read(path)
        if made is None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        else:
            found.append(made)
    return sorted(found, key=lambda made: made.started)


def _read(path: Path) -> Announcement | None:
    """What a file announces, or None where nobody stands behind it."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        if _lock(handle):
            return None
        found: Any = json.loads(os.read(handle, 1 << 16))
        made = Announcement(**{field.name: found[field.name] for field in fields(Announcement)})
        return made if Path(made.pty).exists() else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock a file for this process, or say that another has it."""
    try:
        import fcntl
    except ImportError:  # no pseudo-terminals there either
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
