"""Where libraries keep things when their usual places cannot be written."""

import os
import tempfile
from pathlib import Path

import pytest

from actionpipe.runtime import caches

NAMES = [*caches.FOLDERS, "NUMBA_CACHE_DIR", "TMPDIR", "HOME", "USER"]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A writable home and place for temporary files of the test's own."""
    for name in NAMES:
        monkeypatch.setenv(name, "x")  # so that it is put back
        monkeypatch.delenv(name)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


def refuse(monkeypatch, *folders):
    """Nothing can be written below these folders."""
    real = caches._writable

    def writable(folder, **more):
        return not any(Path(folder).is_relative_to(one) for one in folders) and real(folder, **more)

    monkeypatch.setattr(caches, "_writable", writable)


def test_where_all_can_be_written_nothing_is_changed(places):
    before = dict(os.environ)
    caches.provide([])
    assert dict(os.environ) == before


def test_without_a_home_libraries_write_into_a_folder_of_this_user_alone(places, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    caches.provide([])
    folder = places / "tmp" / f"actionpipe-{os.getuid()}"
    assert os.environ["HOME"] == str(folder)
    assert os.environ["MPLCONFIGDIR"] == str(folder / "matplotlib")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_what_a_user_has_set_stays(places, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("MPLCONFIGDIR", "/mine")
    caches.provide([])
    assert os.environ["MPLCONFIGDIR"] == "/mine"


def test_the_kernels_of_an_installed_wheel_go_to_the_users_cache(places, monkeypatch):
    monkeypatch.setattr(caches.sys, "prefix", str(caches.KERNELS.parents[2]))
    caches.provide([])
    assert os.environ["NUMBA_CACHE_DIR"] == str(places / "home" / ".cache" / "actionpipe" / "numba")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "own"))
    caches.provide([])
    assert os.environ["NUMBA_CACHE_DIR"] == str(places / "own" / "actionpipe" / "numba")


def test_in_a_read_only_checkout_numba_writes_elsewhere(places, monkeypatch):
    refuse(monkeypatch, caches.KERNELS)
    caches.provide([])
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.is_relative_to(places / "tmp")
    module = places / "kernels.py"
    (places / "__pycache__").mkdir()
    (places / "__pycache__" / "kernels.f-1.py311.nbi").write_bytes(b"index")
    (places / "__pycache__" / "others.f-1.py311.nbi").write_bytes(b"index")
    caches.give_kernels(module)
    assert [path.name for path in folder.glob("*/*")] == ["kernels.f-1.py311.nbi"]


def test_a_folder_that_another_user_could_have_prepared_is_not_trusted(places, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    waiting = places / "tmp" / f"actionpipe-{os.getuid()}"
    waiting.mkdir()
    waiting.chmod(0o777)
    caches.provide([])
    assert os.environ["HOME"] != str(waiting)
    assert Path(os.environ["HOME"]).parent == waiting.parent


@pytest.mark.parametrize("form", [["--data", "{}"], ["--data={}"], ["--out", "{}/final.csv"]])
def test_without_any_place_for_temporary_files_they_lie_beside_the_output(places, monkeypatch, form):
    monkeypatch.setattr(tempfile, "tempdir", None)
    real = tempfile._get_default_tempdir

    def refused():
        if "TMPDIR" in os.environ:
            return real()
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", refused)
    (places / "data").mkdir()
    caches.provide(["stage", *(part.format(places / "data") for part in form)])
    assert Path(tempfile.gettempdir()).parent == places / "data"
