"""What of the host an isolated child sees: the interpreter's standard library, shared libraries, three packages.

Found once per process. Installed packages other than these are never shown, and neither is the project's environment.
"""

from __future__ import annotations

import functools
import glob
import importlib.util
import os
import sys
import sysconfig

import msgspec

from hephaestus_runner.config import OPT, Bind

PACKAGES = ("hephaestus_runner", "msgspec", "apsw")
"""What the runner imports besides the standard library."""

_SYSTEM = ("/usr", "/usr/local", "/")


class Layout(msgspec.Struct, frozen=True):
    """Where the interpreter and its parts are on this host."""

    python: str  # the interpreter itself, outside any virtual environment, links resolved
    main: str  # the script that it is started with
    homes: dict[str, str]  # package -> the folder that holds it
    binds: tuple[Bind, ...]
    masks: tuple[str, ...]  # folders of installed packages inside the binds


@functools.cache
def layout() -> Layout:
    """Look at the running interpreter.

    Raises:
        ImportError: If one of :data:`PACKAGES` is not installed as an ordinary folder.
    """
    # The base interpreter: the children have nothing to do with the environment that the host lives in.
    python = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    folders = {name: _folder(name) for name in PACKAGES}
    _compile(folders["hephaestus_runner"])
    binds = {f"{OPT}/{name}": folder for name, folder in folders.items()}
    for folder in folders.values():
        # Where wheels keep the shared libraries that they bring along; found by a path relative to the package.
        if os.path.isdir(f"{folder}.libs"):
            binds[f"{OPT}/{os.path.basename(folder)}.libs"] = f"{folder}.libs"
    binds |= {path: path for path in (python, *_library(), *_shared())}
    ordered = tuple(Bind(source, target) for target, source in sorted(binds.items()) if not _covered(target, binds))
    return Layout(
        python=python,
        main=os.path.join(folders["hephaestus_runner"], "main.py"),
        homes={name: os.path.dirname(folder) for name, folder in folders.items()},
        binds=ordered,
        masks=_masks(),
    )


def _folder(name: str) -> str:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{name} is not installed as a folder of modules; children cannot be given it")
    return os.path.realpath(next(iter(spec.submodule_search_locations)))


def _compile(folder: str) -> None:
    """Have bytecode of the runner where importing it here would leave it: without, each child compiles it again.

    Measured: 20 ms of a launch. Children only read, and some installers leave no bytecode.
    """
    if not sys.dont_write_bytecode:
        import compileall

        # Where this cannot be written, children do without.
        compileall.compile_dir(folder, quiet=2)


def _covered(target: str, binds: dict[str, str]) -> bool:
    parent = os.path.dirname(target)
    while parent not in ("/", ""):
        if parent in binds:
            return True
        parent = os.path.dirname(parent)
    return False


def _library() -> list[str]:
    """The standard library, and the interpreter's own shared library."""
    base = os.path.realpath(sys.base_prefix)
    if base not in _SYSTEM:
        # An interpreter in a folder of its own: its lib also holds the libraries that it was built with.
        return [os.path.join(base, "lib")]
    found = {sysconfig.get_path("stdlib", vars={"installed_base": base}), sysconfig.get_path("platstdlib")}
    paths = [os.path.realpath(path) for path in found if path and os.path.isdir(path)]
    return sorted({path for path in paths if path.startswith(base)}) + _existing(f"{base}/lib*/libpython*.so*")


def _shared() -> list[str]:
    """Folders of shared libraries, the loader, and its cache."""
    triplet = sysconfig.get_config_var("MULTIARCH") or "*-linux-gnu"
    paths = _existing(f"/usr/lib/{triplet}", f"/lib/{triplet}", "/usr/lib64", "/lib64", "/etc/ld.so.cache", "/lib/ld-*")
    for line in _mapped():
        # Whatever this interpreter has loaded lies in a folder of shared libraries, unless some package brought it.
        folder = os.path.dirname(line)
        if folder in ("/usr/lib", "/lib", "/usr/local/lib"):
            paths.append(line)
    return sorted(set(paths))


def _mapped() -> list[str]:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            return sorted({line.split(maxsplit=5)[5].strip() for line in file if ".so" in line})
    except FileNotFoundError:
        return []  # not Linux, where no child gets a root of its own


def _masks() -> tuple[str, ...]:
    base = os.path.realpath(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    patterns = [f"{base}/lib*/{version}/{name}" for name in ("site-packages", "dist-packages")]
    return tuple(_existing(*patterns))


def _existing(*patterns: str) -> list[str]:
    return sorted(path for pattern in patterns for path in glob.glob(pattern))
