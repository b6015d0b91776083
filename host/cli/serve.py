# SPDX-License-Identifier: BSD-2-Clause
"""`liquid serve`: the whole chip, simulated, behind a pseudo-terminal, for programs that speak to a board."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from liquid_accel.cli.common import Subparsers, add_json, note, positive_float, print_json, subcommand
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import PRESETS, LiquidConfig
from liquid_accel.rtl.link import MIN_DIVISOR

EXAMPLE = "  liquid serve model.liquid --pty --link board"


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "serve", run, "serve a simulated chip on a pseudo-terminal, as if a board", EXAMPLE)
    parser.add_argument(
        "image", metavar="IMAGE.liquid|PRESET",
        help="an image, or a preset: the configuration of the chip, which is empty: hosts load it over the wire",
    )  # fmt: skip
    parser.add_argument("--pty", action="store_true", required=True, help="on a pseudo-terminal of this machine")
    parser.add_argument("--link", metavar="PATH", help="a symbolic link to the terminal, as long as it is served")
    parser.add_argument(
        "--divisor", type=_divisor, default=MIN_DIVISOR, metavar="N",
        help=f"clock cycles a bit of the UART (default: {MIN_DIVISOR}, the fewest; a terminal has no bit rate)",
    )  # fmt: skip
    parser.add_argument("--for", dest="seconds", type=positive_float, metavar="S", help="end after S seconds")
    add_json(parser)


def _divisor(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not MIN_DIVISOR <= value < 1 << 16:
        raise argparse.ArgumentTypeError(f"is {text}; expected a whole number from {MIN_DIVISOR} to 65535")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Build the chip, make the terminal, say its name, and serve until interrupted or terminated."""
    if os.name != "posix":
        raise UserError("--pty: this system has no pseudo-terminals; expected Linux, macOS or another Unix")
    config = _config(arguments.image)
    link = None if arguments.link is None else _check_link(Path(arguments.link))
    from liquid_accel.driver.announce import announce
    from liquid_accel.driver.errors import DeviceError
    from liquid_accel.sim.chip import SimulatedChip, chip_rtlil
    from liquid_accel.sim.cxxrtl_build import SimulatorBuildError
    from liquid_accel.sim.serve import PtyServer, linked

    with _stopped_by_signals():
        try:
            chip = SimulatedChip(chip_rtlil(config, arguments.divisor), arguments.divisor, note)
            server = PtyServer(chip)
        except SimulatorBuildError as error:
            raise DeviceError(f"the chip cannot be simulated: {error}") from error
        except OSError as error:
            raise DeviceError(f"there is no pseudo-terminal to have: {error.strerror}") from error
        name, code = Path(arguments.image).name, config.config_hash
        end = None if arguments.seconds is None else time.monotonic() + arguments.seconds
        with chip, server, announce(server.device, image=name, config_hash=code, lanes=config.lanes):
            try:
                with linked(link, server.device):
                    _say(arguments, config, server.device)
                    server.serve(lambda: end is not None and time.monotonic() >= end)
            except _Stop:
                pass
            except OSError as error:
                raise UserError(f"{link}: cannot be made ({error.strerror}); expected the path of a new link") from None
            finally:
                traffic = server.traffic
                rate = chip.simulated_cycles / traffic.busy_s if traffic.busy_s else 0.0
                note(
                    f"served {traffic.to_chip:,} bytes to the chip and {traffic.to_host:,} from it in "
                    f"{chip.cycles:,} cycles, {chip.simulated_cycles:,} of them simulated, {rate:,.0f} a second"
                )
    return 0


def _say(arguments: argparse.Namespace, config: LiquidConfig, device: str) -> None:
    image = "IMAGE.liquid" if arguments.image in PRESETS else arguments.image
    if arguments.json:
        print_json(
            {
                "pty": device, "target": f"uart:{device}", "link": arguments.link, "pid": os.getpid(),
                "divisor": arguments.divisor, "lanes": config.lanes, "config_hash": f"0x{config.config_hash:08x}",
            }
        )  # fmt: skip
    else:
        print(f"{device}: a chip of {config.lanes} lanes; interrupt to end. From another terminal:")
        print(f"  liquid run {image} DATA.npz --on uart:{arguments.link or device}")
    sys.stdout.flush()


def _config(name: str) -> LiquidConfig:
    """The configuration of an image, or a preset."""
    if name in PRESETS and not Path(name).exists():
        return PRESETS[name]
    from liquid_accel.image import Image

    if not Path(name).exists():
        raise UserError(f"{name}: there is no such file; expected an image, or a preset: one of {', '.join(PRESETS)}")
    return Image.load(name).config


def _check_link(path: Path) -> Path:
    """A path that a link may be made at; a link that is there is taken for that of an earlier server."""
    if path.exists() and not path.is_symlink():
        raise UserError(f"--link {path}: it exists, and is no link; expected the path of a new one")
    if not path.parent.is_dir():
        raise UserError(f"--link {path}: the folder {path.parent} does not exist; expected one that does")
    return path


class _Stop(BaseException):
    """SIGINT or SIGTERM came."""


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Both signals end what is under way, in order, once."""

    def stop(number: int, frame: FrameType | None) -> None:
        for kind in before:
            signal.signal(kind, signal.SIG_IGN)
        raise _Stop

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stop:
        pass
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
