"""Where a runtime lives when nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hephaestus.errors import UsageError
from hephaestus.runtime import default_home


def test_a_home_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEPHAESTUS_HOME", str(tmp_path))
    assert default_home() == tmp_path


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_a_user_without_a_home_folder_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("HEPHAESTUS_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UsageError, match="no home folder"):
        default_home()


@pytest.mark.parametrize(
    ("system", "folder"),
    [("linux", ".local/share"), ("darwin", "Library/Application Support"), ("win32", "AppData/Local")],
)
def test_else_it_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, system: str, folder: str) -> None:
    for name in ("HEPHAESTUS_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setattr("sys.platform", system)
    assert default_home() == Path("/somebody") / folder / "hephaestus"
