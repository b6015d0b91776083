# SPDX-License-Identifier: BSD-2-Clause
"""The boards by name."""

from liquid_accel.boards import icebreaker, orangecrab, tang_nano_9k, tang_nano_20k, ulx3s, upduino3
from liquid_accel.boards.board import Board

BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        icebreaker.BOARD,
        upduino3.BOARD,
        ulx3s.BOARD_25F,
        ulx3s.BOARD_85F,
        orangecrab.BOARD_25F,
        orangecrab.BOARD_85F,
        tang_nano_9k.BOARD,
        tang_nano_20k.BOARD,
    )
}
