"""What a person can do when an isolation level is not to be had, as far as the reason shows it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hephaestus_runner.protocol import Level


def advice(level: Level, reason: str) -> str:
    """One sentence or two for someone who asked for ``level`` and met ``reason``."""
    if sys.platform != "linux":
        return "agents run isolated on Linux only: use a Linux machine or container, or name the level none"
    if "Landlock" in reason:
        return (
            "use a kernel with Landlock switched on (CONFIG_SECURITY_LANDLOCK, and landlock in the kernel's lsm= list):"
            " any for isolated, 6.12 or newer for restricted"
        )
    if "no table of system calls" in reason or "no seccomp filter" in reason:
        return "use an x86_64 or aarch64 machine"
    if "cannot read" in reason:
        return (
            "install Python and this library where every user can read them, or run as an ordinary user, or use the"
            " level isolated"
        )
    if level == "isolated":
        return (
            "allow user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0 and user.max_user_namespaces"
            " above 0; in a container, a seccomp profile that allows unshare and mount. Or name the level restricted"
        )
    return "name the level none to run without confinement, which the receipt and the certificate then say"
