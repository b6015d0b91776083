# SPDX-License-Identifier: BSD-2-Clause
"""Memories of the machine: one port that reads and one that writes, in rows of 16-bit parts."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Signal, Value, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from . import registers

PART = 16
# A memory's word is the host's to see this many cycles after its address.
HOST_READ_CYCLES = 4
# Whose block RAM is read through the register at its output. Its clock-to-output time would take most of a cycle.
# "pipelined" is the portable machine with their latencies, for simulation.
REGISTERED = ("ecp5", "gowin", "pipelined")
BLOCK_BITS = 16384  # of their block RAM, without parity
HOST_ADDRESS = 16 + registers.mask("MEM_SPACE", "HIGH").bit_count()


def read_cycles(vendor: str) -> int:
    """From an address to a word of block RAM."""
    return 2 if vendor in REGISTERED else 1


def block_width(depth: int, parts: int) -> int:
    """Data bits that one block holds of a memory: 32 of up to 512 rows, 16 of 1,024, 8 of 2,048 and so on."""
    if depth > BLOCK_BITS:
        raise ValueError(f"a memory of {depth} rows: at most {BLOCK_BITS} fit a block RAM")
    return min(2 * PART if parts > 1 else PART, BLOCK_BITS >> (depth - 1).bit_length())


class Ram(wiring.Component):
    """`depth` rows of `parts` 16-bit words, read `latency` cycles after the address, written in parts.

    Reading a row in the cycle in which it is written gives an undefined word on the vendors' block RAM: nobody does it
    (docs/isa.md, hazards), so no logic is spent on it.

    With `registered`, latency is `read_cycles` of the vendor. Without, it is 1: then it is made of look-up tables on
    ECP5, and is to be small there.

    Ports: read_row -> read_data, where read_enable, else read_data stays; with a latency of 2 row_enable does the same
    for the stage between. write_row, write_data, write_parts (a bit a part), committed at the end of the cycle. Cost on
    iCE40: parts * ceil(depth / 256) block RAMs; on ECP5 and Gowin see `block_width`; as look-up tables about 0.1 of
    them a bit.
    """

    def __init__(
        self, depth: int, parts: int = 1, init: Sequence[int] = (), vendor: str = "portable", registered: bool = False
    ) -> None:
        self.depth, self.parts, self._init, self.vendor = depth, parts, init, vendor
        self.latency = read_cycles(vendor) if registered else 1
        self._small = not registered and vendor == "ecp5"
        rows = max(1, (depth - 1).bit_length())
        super().__init__(
            {
                "read_row": In(rows),
                "row_enable": In(1, init=1),
                "read_enable": In(1, init=1),
                "read_data": Out(PART * parts),
                "write_row": In(rows),
                "write_data": In(PART * parts),
                "write_parts": In(parts),
            }
        )

    def elaborate(self, platform: object) -> Module:
        if self.latency > 1 and self.vendor != "pipelined":
            return elaborate_registered(self, self.write_row, self.read_row, self.row_enable, self.read_enable)
        m = Module()
        # What has contents is read-only: constants in logic, as look-up tables used as memory start empty.
        attributes = {"ram_style": "logic" if self._init else "distributed"} if self._small else {}
        m.submodules.memory = store = memory.Memory(
            shape=unsigned(PART * self.parts),
            depth=self.depth,
            init=list(self._init),
            attrs=attributes,
        )
        read = store.read_port()
        write = store.write_port(granularity=PART)
        m.d.comb += [
            read.addr.eq(self.read_row),
            read.en.eq(self.read_enable if self.latency == 1 else self.row_enable),
            write.addr.eq(self.write_row),
            write.data.eq(self.write_data),
            write.en.eq(self.write_parts),
        ]
        _through_register(m, self, read.data)
        return m


class SinglePortRam(wiring.Component):
    """The weight memory: rows of `parts` 16-bit words, one address for reading and writing.

    With vendor "ice40" each part is one SB_SPRAM256KA (depth 16,384); "ecp5" and "gowin" take block RAM with its output
    register; otherwise it is inferred. A cycle that writes reads nothing useful. Latency as in Ram.
    """

    def __init__(self, depth: int, parts: int, vendor: str = "portable") -> None:
        self.depth, self.parts, self.vendor = depth, parts, vendor
        self.latency = read_cycles(vendor)
        super().__init__(
            {
                "row": In((depth - 1).bit_length()),
                "read_data": Out(PART * parts),
                "write_data": In(PART * parts),
                "write_parts": In(parts),
            }
        )

    def elaborate(self, platform: object) -> Module:
        if self.vendor == "ice40":
            from .vendor_ice40 import elaborate_spram

            return elaborate_spram(self)
        if self.latency > 1 and self.vendor != "pipelined":
            return elaborate_registered(self, self.row, self.row, C(1, 1), C(1, 1))
        m = Module()
        m.submodules.memory = store = memory.Memory(shape=unsigned(PART * self.parts), depth=self.depth, init=[])
        read = store.read_port()
        write = store.write_port(granularity=PART)
        m.d.comb += [
            read.addr.eq(self.row),
            write.addr.eq(self.row),
            write.data.eq(self.write_data),
            write.en.eq(self.write_parts),
        ]
        _through_register(m, self, read.data)
        return m


class Fifo(wiring.Component):
    """A first-in first-out buffer of words, a power of two deep, first word visible without asking.

    Ports: write, write_data; read (takes the visible word); read_data, valid; level counts all words, room what it
    takes. Writing when full and reading what is not valid do nothing. A word becomes valid two cycles after it was
    written. Throughput: a word a cycle.
    """

    def __init__(self, depth: int, vendor: str = "portable") -> None:
        self.depth, self.vendor = depth, vendor
        bits = depth.bit_length()
        super().__init__(
            {
                "clear": In(1),
                "write": In(1),
                "write_data": In(PART),
                "read": In(1),
                "read_data": Out(PART),
                "valid": Out(1),
                "level": Out(bits),
                "room": Out(bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ram = ram = Ram(self.depth, vendor=self.vendor)
        pointer = (self.depth - 1).bit_length()
        head = Signal(pointer)  # of the word behind the visible one
        tail = Signal(pointer)
        count = Signal(pointer + 1)
        valid, more, push, pop, load = (Signal(name=name) for name in ("visible", "more", "push", "pop", "load"))
        # Who reads is known late: it enables the memory, whose addresses stand, and there is one adder for the level.
        change = Signal(pointer + 1)
        m.d.comb += [
            self.valid.eq(valid),
            push.eq(self.write & ~count[-1]),
            pop.eq(self.read & valid),
            load.eq(self.read | ~valid),
            more.eq((count[1:] != 0) | (count[0] & ~valid)),  # a word lies in the memory
            change.eq(Cat(push ^ pop, (pop & ~push).replicate(pointer))),
            ram.write_row.eq(tail),
            ram.write_data.eq(self.write_data),
            ram.write_parts.eq(push),
            ram.read_row.eq(head),
            ram.read_enable.eq(load),
            self.read_data.eq(ram.read_data),
            self.level.eq(count),
            self.room.eq(self.depth - count),
        ]
        m.d.sync += count.eq(count + change)
        with m.If(load):
            # A word that is written in this cycle is not at the memory's output in the next.
            m.d.sync += [valid.eq(more), head.eq(head + more)]
        with m.If(push):
            m.d.sync += tail.eq(tail + 1)
        with m.If(self.clear):
            m.d.sync += [head.eq(0), tail.eq(0), count.eq(0), valid.eq(0)]
        return m


def _through_register(m: Module, ram: Ram | SinglePortRam, found: Value) -> None:
    """What a portable memory found, behind the register that a latency of 2 asks for."""
    if ram.latency == 1:
        m.d.comb += ram.read_data.eq(found)
    else:
        with m.If(ram.read_enable if isinstance(ram, Ram) else 1):
            m.d.sync += ram.read_data.eq(found)


def elaborate_registered(
    ram: Ram | SinglePortRam, write_row: Value, read_row: Value, row_enable: Value, read_enable: Value
) -> Module:
    """The vendor's block RAM with the register at its output."""
    if ram.vendor == "ecp5":
        from .vendor_ecp5 import elaborate_ram
    else:
        from .vendor_gowin import elaborate_ram
    return elaborate_ram(ram, write_row, read_row, row_enable, read_enable)


def host_row(address: Signal, parts: int) -> tuple[Signal, Signal]:
    """Splits the host's word address into (row, part), a row taking a power of two of words."""
    bits = (parts - 1).bit_length()
    return address[bits:], address[:bits]
