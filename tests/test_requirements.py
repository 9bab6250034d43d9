"""The table of systems and Pythons in this folder's README: what it says can be installed can, and the rest cannot."""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from compare.scripts import ROOT

PLATFORMS = {"Linux, x86-64": "x86_64-manylinux_2_28", "Linux, arm64": "aarch64-manylinux_2_28",
             "Windows, x86-64": "x86_64-pc-windows-msvc", "Windows, arm64": "aarch64-pc-windows-msvc",
             "macOS 14 and newer, Apple silicon": "aarch64-apple-darwin", "macOS, Intel": "x86_64-apple-darwin"}
FILES = ["requirements.txt", *(f"extras/{extra}/requirements.txt" for extra in ("parallel", "zoo", "imagenet"))]


def table():
    """Return {(system, Python): cell} of the README's table."""
    section = (ROOT / "tests" / "README.md").read_text("utf-8").partition("## Systems and Pythons")[2]
    (_, *pythons), _, *rows = [re.split(r" *\| *", line.strip("| ")) for line in re.findall(r"(?m)^\|.*$", section)]
    return {(system, python): cell for system, *cells in rows for python, cell in zip(pythons, cells, strict=True)}


def resolve(platform, python, *requirements):
    """Return uv's exit status and messages as it looks for wheels of all requirements; it installs nothing."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary", ":all:", "--output-file",
               os.devnull, "--python-platform", platform, "--python-version", python, *requirements]
    process = subprocess.run(command, cwd=ROOT, env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
                             stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
    return process.returncode, process.stderr


def test_the_readme_names_the_pythons_and_systems_of_the_table():
    usable = [place for place, cell in table().items() if not cell.startswith("no")]
    pythons = list(dict.fromkeys(python for _, python in usable))
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert f"Python {pythons[0]} to {pythons[-1]} on Linux, on Windows, or on a Mac with Apple silicon" in readme
    assert {system for system, _ in usable} == set(PLATFORMS) - {"Windows, arm64", "macOS, Intel"}


@pytest.mark.slow
def test_the_requirements_resolve_where_the_table_says_so(tmp_path):
    (tmp_path / "one.txt").write_text("requests")
    status, said = resolve("x86_64-manylinux_2_28", "3.13", str(tmp_path / "one.txt"))
    if status:
        pytest.skip(f"needs a package index that can be reached: {said}")
    with ThreadPoolExecutor(30) as pool:  # most of the time is waiting for the index
        found = dict(zip(table(), pool.map(lambda place: resolve(PLATFORMS[place[0]], place[1], *FILES), table())))
    assert len(found) == 30
    for place, (status, said) in found.items():
        assert "No solution found" in said if status else not said, (place, said)
        assert (status == 0) == (not table()[place].startswith("no")), (place, said)
