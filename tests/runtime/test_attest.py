"""The host believes the kernel, not the child."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.children import agent, linux_only, working

from hephaestus.errors import ProtocolError
from hephaestus.runtime.attest import attest
from hephaestus_runner.protocol import Hello, Level

module = importlib.import_module("hephaestus.runtime.attest")
pytestmark = linux_only


def hello(level: Level) -> Hello:
    return Hello(1, level, {"seccomp": "on"})


@pytest.mark.parametrize("level", ["isolated", "restricted"])
def test_a_process_that_only_says_it_is_confined_is_found_out(level: Level) -> None:
    with pytest.raises(ProtocolError, match="not as confined as it says") as caught:
        attest(hello(level), os.getpid(), asked=level)
    assert "Seccomp is 0" in caught.value.message
    assert ("pid namespace" in caught.value.message) == (level == "isolated")


@pytest.mark.parametrize(("said", "asked"), [("none", "isolated"), ("restricted", "isolated"), ("none", "restricted")])
def test_a_level_lower_than_asked_is_an_error(said: Level, asked: Level) -> None:
    with pytest.raises(ProtocolError, match="was asked for"):
        attest(hello(said), os.getpid(), asked=asked)


def test_level_none_attests_nothing() -> None:
    found = attest(hello("none"), os.getpid(), asked="none")
    assert (found.level, found.uid, found.attested) == ("none", "shared", ())


def test_a_process_that_is_gone_cannot_be_attested() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    with pytest.raises(ProtocolError, match="ended before"):
        attest(hello("isolated"), process.pid, asked="isolated")


def test_a_namespace_that_may_not_be_looked_at_is_named_as_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(module.os, "readlink", refuse)
    seen: list[str] = []
    unseen: list[str] = []
    module._namespaces(1, {"NSpid": "77\t1"}, seen, unseen, [])
    assert seen == ["NSpid"]
    assert unseen == ["ns/net", "ns/mnt", "ns/pid", "ns/ipc", "ns/uts"]


@pytest.mark.anyio
async def test_an_isolated_child_is_attested_in_everything(tmp_path: Path) -> None:
    async with working(agent(tmp_path, "def main(task): ..."), tmp_path) as child:
        assert {"Seccomp", "NoNewPrivs", "CapEff", "CapBnd", "Uid", "NSpid"} <= set(child.attested.attested)
        assert {f"ns/{name}" for name in module.NAMESPACES} <= {*child.attested.attested, *child.attested.unseen}
        assert child.attested.uid == ("own" if os.geteuid() == 0 else "shared")
