# SPDX-License-Identifier: BSD-2-Clause
"""`liquid clib`: the C library for a microcontroller beside the FPGA, and an image as C."""

from __future__ import annotations

import argparse
from pathlib import Path

from liquid_accel.cli.common import Subparsers, add_json, print_json, show, subcommand, table, write_whole
from liquid_accel.errors import UserError

EXAMPLE = "  liquid clib firmware/liquid model.liquid"


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "clib", run, "write the C99 host library, and an image as C arrays", EXAMPLE)
    parser.add_argument("folder", metavar="FOLDER", help="made where it is missing")
    parser.add_argument("image", metavar="IMAGE.liquid", nargs="?", help="becomes model.h and model.c")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the files and name them."""
    from liquid_accel.clib import model_files, sources
    from liquid_accel.image import Image

    files = sources()
    if arguments.image is not None:
        image = Image.load(arguments.image)
        files |= model_files(image, Path(arguments.image).name)
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
    if arguments.json:
        print_json({"files": [{"path": path, "bytes": size} for path, size in sizes.items()]})
    else:
        show(table("written", ("file", "bytes"), [(path, f"{size:,}") for path, size in sizes.items()]))
    return 0
