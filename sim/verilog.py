# SPDX-License-Identifier: BSD-2-Clause
"""Writes the core as Verilog for people who use it outside this project."""

import os
import tempfile
from pathlib import Path
from typing import Any

from liquid_accel.rtl.axi_lite import AcceleratorAxiLite
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.wishbone import AcceleratorWishbone
from liquid_accel.sim.bus import accelerator
from liquid_accel.sim.elaborate import to_verilog

CORE, WISHBONE, AXI_LITE = "accelerator", "accelerator_wishbone", "accelerator_axi_lite"


def export_verilog(
    config: LiquidConfig | None, directory: str | Path, *, data_width: int = 32, device: Any = None
) -> list[Path]:
    """Write accelerator.v and its bus wrappers into `directory`, which is made where it is missing.

    Verilog 2005. The first holds the module `accelerator` (clk, rst, streams request and response, interrupt). The
    others instantiate it: `accelerator_wishbone` behind a classic Wishbone bus of `data_width` (16 or 32) bits,
    `accelerator_axi_lite` behind AXI4-Lite of 32. `device` takes the place of `Accelerator(config)`. Returns the three
    paths; each file is whole or not there. Raises OSError where the folder cannot be written, `YosysError` where the
    tool fails.
    """
    # All are made before any is written.
    texts = {
        CORE: to_verilog(accelerator(config, device), CORE),
        WISHBONE: to_verilog(AcceleratorWishbone(data_width), WISHBONE),
        AXI_LITE: to_verilog(AcceleratorAxiLite(), AXI_LITE),
    }
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.v"
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f".{name}-", suffix=".v", delete=False) as half:
            half.write(text)
        Path(half.name).chmod(0o666 & ~_umask())
        Path(half.name).replace(path)
        paths.append(path)
    return paths


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
