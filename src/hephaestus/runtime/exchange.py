"""Artefacts above the frame limit: files that a child wrote, read as the hostile input that they are."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from hephaestus import canonical
from hephaestus.errors import ProtocolError

if TYPE_CHECKING:
    from pathlib import Path

    from hephaestus_runner.protocol import File

MAX_ARTEFACT = 256 << 20
"""The largest artefact in bytes; the child's own limit of a file is usually lower."""


def read_file(folder: Path, file: File) -> bytes:
    """The bytes of one file of an exchange folder. Blocking.

    Args:
        folder: On the host.
        file: As the child named it.

    Raises:
        ProtocolError: If it is not one regular file of the folder itself, or its size or digest is another.
    """
    if file.name in ("", ".", "..") or "/" in file.name or "\0" in file.name:
        raise ProtocolError(f"a file of the exchange folder is named by one component, not {file.name[:80]!r}")
    if not 0 <= file.size <= MAX_ARTEFACT:
        raise ProtocolError(f"an artefact has at most {MAX_ARTEFACT} bytes, and the child announced {file.size}")
    try:
        # Without O_NONBLOCK a named pipe would keep the host waiting.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(folder / file.name, flags)
    except (OSError, ValueError) as error:
        raise ProtocolError(f"the child named {file.name[:80]!r}, which cannot be opened: {error}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ProtocolError(f"the child named {file.name[:80]!r}, which is no regular file")
        with open(descriptor, "rb", closefd=False) as opened:
            # One byte more than announced shows a longer file; its status could change while it is read.
            data = opened.read(file.size + 1)
    finally:
        os.close(descriptor)
    if len(data) != file.size or canonical.digest_bytes(data) != file.digest:
        raise ProtocolError(f"{file.name[:80]!r} is not the {file.size} bytes with digest {file.digest[:80]} announced")
    return data
