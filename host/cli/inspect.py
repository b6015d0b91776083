# SPDX-License-Identifier: BSD-2-Clause
"""`liquid inspect`: what an image holds: program, formats, memory map, predicted cycles, bounds."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from liquid_accel.cli.common import (
    Subparsers,
    add_json,
    check_picture,
    print_json,
    save_picture,
    show,
    subcommand,
    table,
)
from liquid_accel.cli.compile import solver_text, summary, summary_rows
from liquid_accel.errors import UserError

if TYPE_CHECKING:
    from liquid_accel.image import Image

EXAMPLE = """  liquid inspect model.liquid
  liquid inspect model.liquid --timeline TEST.npz --plot frame.png    # one frame's cycles, by unit"""


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "inspect", run, "show program, formats, memory map and bounds of an image", EXAMPLE)
    parser.add_argument("image", metavar="IMAGE.liquid", help="made by `liquid compile`")
    parser.add_argument(
        "--timeline", nargs="?", const="", metavar="DATA.npz",
        help="in place of all that, what each unit does in one frame of the first sequence, on the golden model "
             "(default: of a sequence drawn at random)",
    )  # fmt: skip
    parser.add_argument(
        "--frame", type=int, metavar="N", help="of --timeline, from 0 (default: one of median cycles, not the first)"
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw the timeline: .png, .svg or .pdf")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the image."""
    from liquid_accel.image import Image

    if arguments.timeline is None:
        for name in ("plot", "frame"):
            if getattr(arguments, name) is not None:
                raise UserError(f"--{name} belongs to a timeline; expected --timeline as well")
    image = Image.load(arguments.image)
    if arguments.timeline is not None:
        return _timeline(arguments, image)
    if arguments.json:
        print_json(report(image))
        return 0
    show(
        table(arguments.image, ("", ""), summary_rows(image)),
        table("formats", ("value", "format", "largest", "head-room", "from"), format_rows(image), left=2),
        table("bounds", ("", "value", "limit", "unit"), bound_rows(image)),
        table("memory map", ("memory", "holds", "rows", "from row"), memory_rows(image), left=2),
        table("cycles of a frame", ("", "first of a sequence", "others"), cycle_rows(image)),
        *(f"note: {warning}" for warning in image.warnings),
        "program", listing(image),
    )  # fmt: skip
    return 0


def _timeline(arguments: argparse.Namespace, image: Image) -> int:
    """Print and draw one frame."""
    from liquid_accel import data
    from liquid_accel.timeline import median_frame, stand_in, timeline, trace_sequence

    picture = None if arguments.plot is None else check_picture(arguments.plot)
    batch = data.load(arguments.timeline, image.default_dt) if arguments.timeline else stand_in(image)
    traces = trace_sequence(image, batch)
    number = median_frame(traces) if arguments.frame is None else arguments.frame
    if not 0 <= number < len(traces):
        raise UserError(f"--frame is {number}; expected 0 to {len(traces) - 1}, the sequence has {len(traces)} frames")
    line = timeline(image, traces[number])
    what = f"frame {number} of the first sequence of {batch.name}, {solver_text(image)}, {image.config.lanes} lanes"
    if picture is not None:
        from liquid_accel.timeline.picture import timeline_figure

        save_picture(timeline_figure(line, f"{arguments.image}: {what}"), picture)
    if arguments.json:
        print_json(summary(image) | {"frame": number, "data": batch.name, "timeline": line.as_dict()})
    else:
        from liquid_accel.timeline.text import rows

        show(what, *rows(line))
    return 0


def report(image: Image) -> dict[str, object]:
    """Everything, for programs."""
    return summary(image) | {
        "config": asdict(image.config), "task": image.task, "time_unit_s": image.time_unit_s,
        "machine_unit": image.machine_unit, "default_dt": image.default_dt, "max_dt": image.max_dt,
        "formats": [asdict(row) for row in image.formats], "bounds": [asdict(row) for row in image.bounds],
        "memory_map": [asdict(row) for row in image.memory_map], "cycles": asdict(image.cycles),
        "program": image.listing().splitlines(), "checkpoint_hash": image.checkpoint_hash,
    }  # fmt: skip


def format_rows(image: Image) -> list[tuple[str, ...]]:
    """Formats with their head-room in bits."""
    return [
        (row.name, row.format, f"{row.largest:.4g}", f"{row.headroom_bits:.2f} bits", row.source)
        for row in image.formats
    ]


def bound_rows(image: Image) -> list[tuple[str, ...]]:
    """What was proved or measured exhaustively."""
    return [(row.name, f"{row.value:.4g}", f"{row.limit:.4g}" if row.limit else "–", row.unit) for row in image.bounds]


def memory_rows(image: Image) -> list[tuple[str, ...]]:
    """Regions of the memories."""
    return [(row.space, row.name, str(row.rows), str(row.start)) for row in image.memory_map]


def cycle_rows(image: Image) -> list[tuple[str, ...]]:
    """Predicted cycles."""
    model = image.cycles
    return [
        ("with time passing" + ("" if model.exact else ", mean"), f"{model.first:,.1f}", f"{model.other:,.1f}"),
        ("with dt = 0", f"{model.first_zero_dt:,.1f}", f"{model.other_zero_dt:,.1f}"),
    ]


def listing(image: Image) -> str:
    """The program; comments stand above their instruction, so that lines stay short."""
    from liquid_accel.rtl.disassembly import disassemble

    lines, said = [], ""
    for address, (instruction, comment) in enumerate(zip(image.program(), image.comments, strict=True)):
        if comment and comment != said:
            lines.append(f"     ; {comment}")
        said = comment
        lines.append(f"{address:3d}  {disassemble(instruction)}")
    return "\n".join(lines)
