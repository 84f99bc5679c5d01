"""Running a script of ours as an ordinary user, also where the tests run as root.

The interpreter and the checkout may lie where only root can pass. So root first makes a mount namespace in which just
these are shown in their places, and only then becomes somebody else. Run as a script, this module does that part.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

NOBODY = 65_534
ROOT = Path(__file__).parents[2]
_PRELUDE = f"""\
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.support.child_coverage import take_over
take_over()
"""


def run_as_plain_user(
    script: str, *arguments: str, folder: Path, become: int = NOBODY
) -> subprocess.CompletedProcess[str]:
    """Run a Python program as a user without privileges: this one, or nobody when this one is root.

    Args:
        script: The program.
        arguments: For it.
        folder: Where it may write; it becomes the working folder. Its parents must let others pass.
        become: Who to be, where this one is root; root itself is then only shown the paths.
    """
    path = folder / "script.py"
    path.write_text(_PRELUDE + script, encoding="utf-8")
    path.chmod(0o644)
    command = [sys.executable, "-B", str(path), *arguments]
    if os.geteuid() == 0:
        shown = [sys.prefix, sys.base_prefix, str(ROOT), str(folder)]
        command = [sys.executable, "-B", __file__, json.dumps([become, *shown]), *command]
        os.chown(folder, become, become)
    # Here, not above: as a script this module is run without the checkout on the path.
    from tests.support.child_coverage import handed_on

    more, descriptors = handed_on()
    environment = {"HOME": str(folder), "TMPDIR": str(folder), "PATH": os.environ.get("PATH", ""), **more}
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def hidden_parent(path: str) -> str | None:
    """The topmost folder above ``path`` that does not let others pass."""
    for parent in reversed(Path(path).parents):
        if not parent.stat().st_mode & stat.S_IXOTH:
            return str(parent)
    return None


def show(paths: list[str]) -> None:
    """In a mount namespace of our own: replace what others cannot pass by a folder that holds only these paths."""
    from hephaestus_runner import syscalls
    from hephaestus_runner.syscalls import MS_BIND, MS_PRIVATE, MS_REC

    syscalls.syscall("unshare", 0x20000)
    syscalls.mount(None, "/", None, MS_REC | MS_PRIVATE)
    hidden: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        parent = hidden_parent(path)
        if parent is not None:
            hidden.setdefault(parent, []).append(path)
    for parent, below in hidden.items():
        handles = {path: os.open(path, os.O_PATH) for path in below}
        syscalls.mount("tmpfs", parent, "tmpfs", 0, "mode=755")
        for path, handle in handles.items():
            os.makedirs(path, exist_ok=True)
            syscalls.mount(f"/proc/self/fd/{handle}", path, None, MS_BIND | MS_REC)
            os.close(handle)


def main() -> None:
    order, *command = sys.argv[1:]
    become, *shown = json.loads(order)
    show(shown)
    os.setgroups([])
    os.setresgid(become, become, become)
    os.setresuid(become, become, become)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
