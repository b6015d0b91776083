# SPDX-License-Identifier: BSD-2-Clause
"""The distribution: what a wheel holds, and that the documents name what the project file says."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from liquid_accel.version import PACKAGE_VERSION

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> list[str]:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    return [line for line in [*PROJECT["dependencies"], *extras] if not line.startswith("liquid-accel")]


@pytest.mark.parametrize("line", requirements())
def test_every_dependency_is_bounded_on_both_sides_and_explained(line: str) -> None:
    name = re.match(r"[\w.-]+", line)
    assert name is not None
    assert "==" in line or (">=" in line and ",<" in line)
    assert re.search(rf"\| [^|]*\b{re.escape(name[0])}\b[^|]*\|", (ROOT / "docs" / "dependencies.md").read_text())


def test_the_changelog_knows_the_version() -> None:
    assert f"## {PACKAGE_VERSION}" in (ROOT / "CHANGELOG.md").read_text()


def test_a_wheel_holds_every_module_and_what_the_demo_needs(tmp_path: Path) -> None:
    # From a copy, because a build leaves its folders in the source tree.
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: the files of the project are not known")
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "src" / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "out", "./src"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "out").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    for name in listed.stdout.splitlines():
        folder, _, inner = name.partition("/")
        if folder in ("host", "rtl", "sim", "boards") and Path(name).suffix in (".py", ".cpp", ".h"):
            home = f"liquid_accel/{inner}" if folder == "host" else f"liquid_accel/{name}"
            assert home in held, f"{name} is not in the wheel"
        if folder in ("data", "checkpoints"):
            assert f"liquid_accel/shipped/{name}" in held, f"{name} is not in the wheel"
