# SPDX-License-Identifier: BSD-2-Clause
"""`liquid export`: an image as C99 for a processor, with frames that the golden model answered."""

from __future__ import annotations

import argparse
from pathlib import Path

from liquid_accel.cli.common import Subparsers, add_json, print_json, show, subcommand, table, write_whole
from liquid_accel.errors import UserError

EXAMPLE = """  liquid export --c model.liquid firmware/model
  liquid export --c model.liquid firmware/model --data TEST.npz"""


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "export", run, "write an image as C99, for a processor without an FPGA", EXAMPLE)
    parser.add_argument("--c", action="store_true", required=True, help="C99: integers alone, no allocation")
    parser.add_argument("image", metavar="IMAGE.liquid")
    parser.add_argument("folder", metavar="DIR", help="made where it is missing; see docs/export.md")
    parser.add_argument(
        "--data", metavar="DATA.npz", help="frames that liquid_model_check.c holds the model against; drawn without it"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the files, and say what they take of a processor's memories."""
    from liquid_accel.data import load
    from liquid_accel.export.check import check_file, drawn
    from liquid_accel.export.size import figures
    from liquid_accel.export.source import CHECK, c_files
    from liquid_accel.image import Image

    image = Image.load(arguments.image)
    title = Path(arguments.image).name
    data = drawn(image) if arguments.data is None else load(arguments.data)
    files = c_files(image, title) | {CHECK: check_file(image, title, data)}
    folder = Path(arguments.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); expected a folder") from None
    for name, text in files.items():

        def write(temporary: Path, text: str = text) -> None:
            temporary.write_text(text)

        write_whole(folder / name, write)
    sizes = {str(folder / name): len(text.encode()) for name, text in files.items()}
    found = figures(folder)
    if arguments.json:
        print_json({"files": [{"path": path, "bytes": size} for path, size in sizes.items()], "cortex_m7": found})
        return 0
    show(table("written", ("file", "bytes"), [(path, f"{size:,}") for path, size in sizes.items()]))
    if found is None:
        show("sizes on a Cortex-M7: arm-none-eabi-gcc is not there")
    else:
        show(table("on a Cortex-M7", ("memory", "bytes"), [
            ("flash: code", f"{found['code_bytes']:,}"), ("flash: constants", f"{found['constant_bytes']:,}"),
            ("RAM: state", f"{found['state_bytes']:,}"), ("RAM: stack of a step", f"{found['stack_bytes']:,}"),
        ]))  # fmt: skip
    return 0
