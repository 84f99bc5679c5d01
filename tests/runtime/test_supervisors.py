"""Supervisors that lie, garble, hang or die: the host believes none of them and is rid of all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.children import agent, linux_only, root_only

from hephaestus.errors import ChildError, ProtocolError
from hephaestus.runtime import child as child_module
from hephaestus.runtime import spawn
from hephaestus.runtime.launch import launch
from hephaestus.runtime.uids import FIRST

pytestmark = [pytest.mark.anyio, linux_only]

SCRIPT = """
import json, os, sys, time
config = json.loads(sys.stdin.read())
sys.path.extend(config["homes"].values())
from hephaestus_runner.protocol import *

def say(message):
    os.write(config["writer"], frame(message))

def tell(**note):
    os.write(config["control"], json.dumps(note).encode() + b"\\n")

{}
"""


def childless() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("tell(pid=os.getpid()); say(Hello(99, 'isolated', {}))", ProtocolError, "version 99"),
        ("say(Event('x', b'1'))", ProtocolError, "Hello was expected"),
        ("tell(pid=os.getpid()); say(Hello(1, 'none', {}))", ProtocolError, "isolated was asked for"),
        ("tell(pid=os.getpid()); say(Hello(1, 'isolated', {})); time.sleep(60)", ProtocolError, "not as confined"),
        ("say(Hello(1, 'isolated', {}))", ChildError, "before the child was ready"),
        ("os.write(config['control'], b'garbage\\n'); time.sleep(60)", ProtocolError, "the supervisor wrote"),
        ("say(Failure(0, 'agent_code', 'odd'))", ProtocolError, "Hello was expected"),
        ("say(Start('r', 'x', Policy(), 1, b'', ()))", ProtocolError, "which only a host sends"),
        ("print('gone'); sys.exit(3)", ChildError, "before it was ready"),
    ],
)
async def test_a_supervisor_that_does_not_keep_to_the_order_is_an_error_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, kind: type[Exception], text: str
) -> None:
    monkeypatch.setattr(child_module, "END_S", 1.0)
    script = tmp_path / "main.py"
    script.write_text(SCRIPT.format(line))
    monkeypatch.setattr(spawn, "_MAIN", str(script))
    spec = agent(tmp_path, "def main(task): ...")
    with pytest.raises(kind, match=text):
        async with launch(spec, runs=tmp_path):
            pytest.fail("it was believed")
    assert sorted(os.listdir(tmp_path)) == ["main.py", "package"]
    assert childless()


@root_only
async def test_when_the_supervisor_of_a_child_with_a_user_of_its_own_dies_that_user_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As at the level restricted: no namespace, an orphan that nobody adopts, and a user id that is the child's alone.
    line = f"""
from hephaestus_runner import limits
child = os.fork()
if child == 0:
    os.setresuid({FIRST + 3999}, {FIRST + 3999}, {FIRST + 3999})
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    time.sleep(600)
tell(pid=child)
say(Hello(1, "none", {{}}))
os.read(config["control"], 1)
os.kill(child, 9)
os._exit(0)
"""
    script = tmp_path / "main.py"
    script.write_text(SCRIPT.format(line))
    monkeypatch.setattr(spawn, "_MAIN", str(script))
    monkeypatch.setattr(spawn.uids, "take", lambda: FIRST + 3999)
    # Level none takes no user id, so that the script need not confine; the host is then told that there is one.
    spec = agent(tmp_path, "def main(task): ...", level="none")
    async with launch(spec, runs=tmp_path) as child:
        child._spawned.uid = FIRST + 3999
    assert child.disposal is not None
    assert child.disposal.verified
    assert "user id" in child.disposal.how


async def test_a_supervisor_that_ignores_its_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "END_S", 0.3)
    line = "signal = __import__('signal')\nsignal.signal(15, signal.SIG_IGN)\nsay(Event('x', b'1'))\ntime.sleep(600)"
    script = tmp_path / "main.py"
    script.write_text(SCRIPT.format(line))
    monkeypatch.setattr(spawn, "_MAIN", str(script))
    with pytest.raises(ProtocolError):
        async with launch(agent(tmp_path, "def main(task): ..."), runs=tmp_path):
            pytest.fail("it was believed")
    assert childless()
