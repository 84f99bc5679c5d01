"""How a freshly forked process confines itself, in order. Nothing here runs package code or starts a process.

:func:`leave` is called by the supervisor before it forks, :func:`confine` by the child first of all. Both raise when a
step that the level promises cannot be done: there is no lower level to fall to from here.
"""

from __future__ import annotations

import os

from hephaestus_runner import landlock, limits, namespaces, seccomp, syscalls
from hephaestus_runner.config import Config, places


class Unconfined(Exception):
    """A level that cannot be reached here; the text says which step failed and why."""


def leave(config: Config) -> dict[str, str]:
    """What must be done before the fork: leave the host's namespaces.

    Returns:
        Feature -> "on", or the reason why not.

    Raises:
        Unconfined: When the level cannot be reached.
    """
    _one_thread()
    if config.level != "isolated":
        return {"namespaces": f"level {config.level} has none"}
    _landlock_version(config)
    try:
        return namespaces.enter()
    except OSError as error:
        raise Unconfined(f"no namespaces: {error}") from error


def confine(config: Config) -> dict[str, str]:
    """Confine this process, which must have one thread and be a child of the supervisor.

    Returns:
        Feature -> "on", or the reason why not.

    Raises:
        Unconfined: When the level cannot be reached. The process must end.
    """
    _one_thread()
    os.setsid()
    # 0, 1 and 2 are the host's pipes and /dev/null by now.
    limits.close_all_but({0, 1, 2, config.reader, config.writer, *config.keep})
    try:
        limits.go_first_when_memory_runs_out()
        if config.level == "none":
            return _unconfined(config)
        return _confined(config, _landlock_version(config))
    except OSError as error:
        raise Unconfined(f"level {config.level} cannot be reached: {error}") from error


def _unconfined(config: Config) -> dict[str, str]:
    os.chdir(places(config).scratch)
    limits.set_limits(config.limits, processes=None)
    return {"rlimits": "on", "confinement": "none was asked for"}


def _confined(config: Config, version: int) -> dict[str, str]:
    isolated = config.level == "isolated"
    features: dict[str, str] = {}
    uid = config.uid
    if isolated:
        inner = namespaces.INNER_ID if uid is None else uid
        features |= namespaces.build_root(config, uid=inner, gid=inner)
    else:
        features["disk_limit"] = "no mount namespace: each file is limited, their number is not"
    if uid is not None or isolated:
        limits.drop_capabilities()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if uid is not None:
        limits.become(uid)
    limits.clear_capabilities()
    features |= {"no_new_privs": "on", "no_capabilities": "on"}
    os.umask(0o077)
    if not isolated:
        _within_reach(config)
    os.chdir(places(config).scratch)
    features |= _limit(config, own_user=uid is not None or isolated)
    _lock_paths(config, version)
    features |= {"landlock": "on", "landlock_version": str(version)}
    features["landlock_scopes"] = "on" if version >= landlock.SCOPES_ABI else f"version {version} has none"
    seccomp.apply(config.level)
    features["seccomp"] = "on"
    return features


def _limit(config: Config, *, own_user: bool) -> dict[str, str]:
    processes = config.limits.processes
    if own_user and config.uid is None:
        processes += 1  # the supervisor is in the user namespace too and counts
    limits.set_limits(config.limits, processes=processes if own_user else None)
    shared = "the user is shared with the host: the supervisor counts instead"
    return {"rlimits": "on", "process_limit": "on" if own_user else shared}


def _readable(config: Config) -> list[str]:
    place = places(config)
    return [*(bind.source for bind in config.binds), *(path for path in (place.package, place.shard) if path)]


def _within_reach(config: Config) -> None:
    """Without a mount namespace, what this user cannot read in its place it cannot be given."""
    for path in (*_readable(config), places(config).scratch):
        if not os.access(path, os.R_OK):
            raise PermissionError(
                f"user {os.getuid()} cannot read {path}, and there is no mount namespace to show it in"
            )


def _lock_paths(config: Config, version: int) -> None:
    place = places(config)
    writable = [place.scratch, *([place.exchange] if place.exchange else [])]
    # In a root of its own, all there is to read was chosen when that was built.
    read_only = ["/"] if config.level == "isolated" else _readable(config)
    landlock.apply(read_only=read_only, writable=writable, devices=namespaces.DEVICES, version=version)


def _landlock_version(config: Config) -> int:
    try:
        version = landlock.abi()
    except OSError as error:
        raise Unconfined(f"no Landlock: {error}") from error
    if config.level == "restricted" and version < landlock.SCOPES_ABI:
        raise Unconfined(
            f"Landlock version {version} cannot keep signals inside; level restricted needs {landlock.SCOPES_ABI}"
        )
    return version


def _one_thread() -> None:
    count = limits.threads()
    if count != 1:
        raise Unconfined(f"{count} threads where one was expected: the others would stay unconfined")
