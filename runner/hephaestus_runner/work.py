"""What a role hands back: exact JSON bytes, or why there are none; and how text is made fit for the wire."""

from __future__ import annotations

import hashlib
import json
import os
import traceback

from hephaestus_runner.protocol import MAX_FRAME, Cause, File

MAX_TRACE = 8_000
MAX_TEXT = 4_000
_ENVELOPE = 4_096  # what a message adds around the value it carries


class WorkFailed(Exception):
    """The work could not be done; becomes the ``Failure`` with number 0.

    Args:
        cause: Which part is to blame.
        message: One sentence for a reader.
        trace: The trace back through the package's code, if it has one.
    """

    def __init__(self, cause: Cause, message: str, *, trace: str = "") -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.message = message
        self.trace = trace


class NotJson(ValueError):
    """A value that has no JSON form: NaN, a lone surrogate, a set, an object of a class, a cycle."""


def to_json(value: object) -> bytes:
    """The value as JSON in UTF-8.

    Raises:
        NotJson: Naming what cannot be written.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJson(f"not a JSON value: {error}") from error
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotJson(f"text holds a lone surrogate at character {error.start} of the JSON") from error


def pack(data: bytes, exchange: str | None) -> bytes | File:
    """The bytes as they travel: inside the message, or, above the frame limit, as a file of the exchange folder.

    Raises:
        NotJson: If they are too long and this process was given no exchange folder, or the file cannot be written.
    """
    if len(data) + _ENVELOPE <= MAX_FRAME:
        return data
    if exchange is None:
        raise NotJson(f"{len(data)} bytes are over the frame limit of {MAX_FRAME}, and there is no exchange folder")
    digest = hashlib.sha256(data).hexdigest()
    path = f"{exchange}/{digest}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError:
        pass  # the same bytes were sent before; the host verifies them
    except OSError as error:
        raise NotJson(f"{len(data)} bytes could not be put into the exchange folder: {error}") from error
    return File(digest, f"sha256:{digest}", len(data))


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Text from package code, bounded and made of Unicode scalar values, so that it can be sent at all."""
    if len(text) > limit:
        text = text[: limit // 2] + "\n...\n" + text[-limit // 2 :]
    return text.encode("utf-8", "replace").decode("utf-8")


def trace_of(error: BaseException) -> str:
    """The trace of an exception in package code, bounded."""
    return clean("".join(traceback.format_exception(error, limit=-40)), MAX_TRACE)
