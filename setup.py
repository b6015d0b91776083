# SPDX-License-Identifier: BSD-2-Clause
"""Maps the folders of the house to packages; everything else about the distribution stands in pyproject.toml.

`host` is liquid_accel, `rtl` is liquid_accel.rtl, and so on. setuptools cannot find packages below a renamed folder,
so that they are listed here: every folder below a root that holds a Python file or data becomes a package.
"""

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
# `data` and `checkpoints` hold what the demo needs, so that it also runs from a wheel (host/shipped.py finds them).
ROOTS = {
    "host": "liquid_accel",
    "rtl": "liquid_accel.rtl",
    "sim": "liquid_accel.sim",
    "boards": "liquid_accel.boards",
    "data": "liquid_accel.shipped.data",
    "checkpoints": "liquid_accel.shipped.checkpoints",
}
DATA = ["py.typed", "*.cpp", "*.h", "*.c", "*.md", "*.npz", "*.safetensors", "*.json", "*.html", "*.css", "*.svg"]


def packages() -> dict[str, str]:
    """Return {package name: folder}, every folder below the roots included."""
    found = {}
    for root, name in ROOTS.items():
        if not (HERE / root).is_dir():
            continue
        found[name] = root
        for folder in sorted(p for p in (HERE / root).rglob("*") if p.is_dir()):
            inner = folder.relative_to(HERE / root).parts
            if "__pycache__" in inner or not any(p.is_file() for p in folder.iterdir()):
                continue
            found[".".join((name, *inner))] = folder.relative_to(HERE).as_posix()
    return found


found = packages()
setup(packages=list(found), package_dir=found, package_data=dict.fromkeys(found, DATA))
