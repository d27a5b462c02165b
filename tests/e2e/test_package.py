"""The Debian package and the tarball hold the same files, and their units start what they hold."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

TOOLS = ("dpkg-deb", "dpkg-shlibdeps", "strip", "xz")


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs dpkg-dev and binutils")
def test_package_and_tarball(tmp_path: Path) -> None:
    binary = Path(os.environ["HOSTLER_BIN"]).resolve()
    environment = {**os.environ, "PACKAGE_BIN": str(binary), "XZ_OPT": "-1"}
    script = [REPOSITORY / "scripts/package.sh", tmp_path / "out"]
    subprocess.run(script, check=True, env=environment)
    (package,) = (tmp_path / "out").glob("*.deb")
    (tarball,) = (tmp_path / "out").glob("*.tar.xz")

    installed = tmp_path / "installed"
    subprocess.run(["dpkg-deb", "-x", package, installed], check=True)
    subprocess.run(["tar", "xf", tarball, "-C", tmp_path], check=True)
    unpacked = tmp_path / tarball.name.removesuffix(".tar.xz")
    subprocess.run(["diff", "-r", unpacked / "usr", installed / "usr"], check=True)

    subprocess.run([installed / "usr/bin/hostler", "--version"], check=True)
    units = list((installed / "usr/lib/systemd/system").glob("*.service"))
    assert len(units) == 3
    for unit in units:
        programs = re.findall(r"^ExecStart\w*=(\S+)", unit.read_text(), re.MULTILINE)
        assert programs
        for program in programs:
            assert (installed / program.lstrip("/")).is_file(), f"{unit.name}: {program}"


def test_missing_binary_is_named(tmp_path: Path) -> None:
    if not all(map(shutil.which, TOOLS)):
        pytest.skip("needs dpkg-dev and binutils")
    environment = {**os.environ, "PACKAGE_BIN": str(tmp_path / "absent")}
    script = [REPOSITORY / "scripts/package.sh", tmp_path / "out"]
    result = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert f"there is no binary at {tmp_path}/absent" in result.stderr
