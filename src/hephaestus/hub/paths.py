"""Which paths a package may hold: names that mean the same file on every system, and nothing that leaves the folder.

The rules are checked when a package is read and again whenever a tree is built from anything else, so an author sees
at build what would otherwise fail on somebody else's machine.
"""

from __future__ import annotations

import re
import unicodedata

MAX_DEPTH = 32
MAX_PATH_BYTES = 240

# Not packed: version control, environments, and what tools write beside the sources. With them inside, a test run or
# an editor would change the release digest, and bytecode would be code that nobody reviewed.
IGNORED_NAMES = frozenset(
    {
        ".DS_Store",
        ".git",
        ".hypothesis",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".venv",
        "__pycache__",
    }
)
IGNORED_SUFFIXES = (".pyc",)

_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\s*\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\]')
# Invisible and direction-changing characters: a name that shows as another name.
_INVISIBLE = re.compile("[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")


def is_ignored(name: str) -> bool:
    """Whether an entry of this name is left out of every package."""
    return name in IGNORED_NAMES or name.endswith(IGNORED_SUFFIXES)


def check_path(path: str) -> None:
    """Refuse a path that cannot be a file of a package.

    Args:
        path: Relative, with forward slashes.

    Raises:
        ValueError: With the reason.
    """
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("the name is not UTF-8") from error
    parts = path.split("/")
    if path.startswith("/") or "" in parts or "." in parts or ".." in parts:
        raise ValueError("the path is not one inside the package (absolute, empty, `.` or `..` steps)")
    if len(parts) > MAX_DEPTH:
        raise ValueError(f"the path has {len(parts)} steps, more than {MAX_DEPTH}")
    if len(encoded) > MAX_PATH_BYTES or not fits_archive(encoded):
        raise ValueError(
            f"the path is too long ({len(encoded)} bytes; {MAX_PATH_BYTES} in all, 100 for the last steps)"
        )
    for part in parts:
        _check_name(part)


def fits_archive(path: bytes) -> bool:
    """Whether a path fits the two name fields of a USTAR header (155 bytes, a slash, 100 bytes)."""
    if len(path) <= 100:
        return True
    return any(path[at] == 0x2F and at <= 155 for at in range(max(1, len(path) - 101), len(path) - 1))


def collision_key(path: str) -> str:
    """What file systems that ignore case or Unicode form take ``path`` for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class Collisions:
    """Finds paths that are one file, or one folder, on a system that ignores case or Unicode form."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, path: str) -> None:
        """Take one more file.

        Raises:
            ValueError: Naming the path that it collides with.
        """
        steps = path.split("/")
        for depth in range(1, len(steps)):
            folder = "/".join(steps[:depth])
            key = collision_key(folder)
            if (other := self._folders.setdefault(key, folder)) != folder:
                raise ValueError(f"its folder is the same as `{other}` where case or Unicode form does not count")
            if key in self._files:
                raise ValueError(f"its folder `{folder}` is also a file")
        key = collision_key(path)
        if key in self._folders:
            raise ValueError(f"it is also the folder `{self._folders[key]}`")
        if key in self._files:
            raise ValueError(f"it is the same file as `{self._files[key]}` where case or Unicode form does not count")
        self._files[key] = path


def _check_name(name: str) -> None:
    if found := _FORBIDDEN.search(name):
        raise ValueError(f"the name holds {found[0]!r}, which some systems do not allow")
    if found := _INVISIBLE.search(name):
        raise ValueError(f"the name holds the invisible character U+{ord(found[0]):04X}")
    if name != name.strip() or name.endswith("."):
        raise ValueError("the name starts or ends with a space, or ends with a dot")
    if _WINDOWS_DEVICE.fullmatch(name):
        raise ValueError("the name is that of a device on Windows")
    if is_ignored(name):
        raise ValueError("a file of that name is left out of every package")
