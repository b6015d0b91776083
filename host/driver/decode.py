# SPDX-License-Identifier: BSD-2-Clause
"""The device's output stream, taken apart as it comes: [step records] [lag] output vector, trailer, [state vector]."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.errors import DeviceError
from liquid_accel.image import Image
from liquid_accel.rtl import isa

COUNTERS = (
    "status", "cycles", "rhs_evals", "steps_accepted", "steps_rejected", "mac_cycles", "saturations", "macs_skipped",
)  # fmt: skip


@dataclass
class Decoder:
    """Collects the answers to `frames` frames; `traced` ones carry step records and states.

    `feed` takes words in portions of any size. Per frame there are then a row in `outputs` (words), in `counters` (in
    the order of COUNTERS), in `states` (words), and any number of rows (frame, flags, step code, norm) in `steps`. A
    frame whose budget was used up is in `lags`, with the ticks that it did not get to and the norm of its last step.

    `release` hands out the oldest frame, so that a stream without end takes no memory: `done` and `frames` count those
    that are held, `finished` and `started` all that ever were.
    """

    image: Image
    frames: int
    traced: bool
    outputs: list[list[int]] = field(default_factory=list)
    counters: list[tuple[int, ...]] = field(default_factory=list)
    states: list[list[int]] = field(default_factory=list)
    steps: list[tuple[int, int, int, int]] = field(default_factory=list)
    lags: dict[int, tuple[int, int]] = field(default_factory=dict)
    _pending: npt.NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))
    _at: int = 0  # of the next section in _pending
    _taken: int = 0  # words in finished sections
    _released: int = 0  # frames

    @property
    def done(self) -> int:
        """Frames that are here in full."""
        return min(len(self.outputs), len(self.counters), len(self.states) if self.traced else self.frames)

    @property
    def complete(self) -> bool:
        return self.done == self.frames

    @property
    def finished(self) -> int:
        """Frames that were here in full."""
        return self._released + self.done

    @property
    def started(self) -> int:
        """Frames that were asked for."""
        return self._released + self.frames

    @property
    def frame_words(self) -> int:
        """Words of a frame without step records and lag."""
        return 1 + self.image.output_words + isa.TRAILER_WORDS + (1 + self.image.state_words if self.traced else 0)

    def words_left(self, frames: int) -> int:
        """Words that are certain to come still of the first `frames` ever; there may be more, where frames are traced
        or cut short."""
        frames -= self._released
        left = (frames - len(self.outputs)) * (1 + self.image.output_words)
        left += (frames - len(self.counters)) * isa.TRAILER_WORDS
        if self.traced:
            left += (frames - len(self.states)) * (1 + self.image.state_words)
        return left - (len(self._pending) - self._at)

    def feed(self, words: npt.NDArray[np.uint16]) -> None:
        """Take words as they came. Raises `DeviceError` where they are not what a device may send."""
        held = self._pending[self._at :]
        self._pending = np.concatenate([held, words]) if held.size else words
        self._at = 0
        while self._at < len(self._pending) and (self._whole_frames() or self._section()):
            pass

    def release(self) -> "Decoder":
        """The oldest frame, which is forgotten here, as a decoder that is complete."""
        one = Decoder(self.image, 1, self.traced, [self.outputs.pop(0)], [self.counters.pop(0)])
        if self.traced:
            one.states.append(self.states.pop(0))
            one.steps += [step for step in self.steps if step[0] == 0]
            self.steps = [(frame - 1, flags, code, norm) for frame, flags, code, norm in self.steps if frame]
        if self.lags:
            one.lags |= {0: self.lags.pop(0)} if 0 in self.lags else {}
            self.lags = {frame - 1: lag for frame, lag in self.lags.items()}
        self.frames -= 1
        self._released += 1
        return one

    def _whole_frames(self) -> bool:
        """Take plain frames that are here whole, all at once; false where there is none."""
        count = min((len(self._pending) - self._at) // self.frame_words, self.frames - len(self.counters))
        if self.traced or count < 1 or len(self.outputs) != len(self.counters):
            return False
        size, vector = self.frame_words, 1 + self.image.output_words
        rows = self._pending[self._at : self._at + count * size].reshape(count, size)
        sound = (rows[:, 0] == isa.MARK_VECTOR | self.image.output_words) & (
            rows[:, vector] & isa.MARK_MASK == isa.MARK_DONE
        )
        if not sound.all():
            rows = rows[: int(sound.argmin())]
        self.outputs += rows[:, 1:vector].tolist()
        self.counters += map(self._counters, rows[:, vector:].tolist())
        self._at += rows.size
        self._taken += rows.size
        return len(rows) > 0

    def _section(self) -> bool:
        """Take one section; false where it is not whole yet."""
        mark = int(self._pending[self._at])
        if len(self.outputs) == self.done:  # before the output vector
            if mark == isa.MARK_LAG and self.done < self.frames and self.done not in self.lags:
                section = self._take(isa.LAG_WORDS)
                if section:
                    _, low, high, norm_low, norm_high = section
                    self.lags[self.done] = low | high << 16, norm_low | norm_high << 16
                return bool(section)
            stepping = self.traced and self.done < self.frames and self.done not in self.lags
            if mark & isa.MARK_MASK == isa.MARK_STEP and stepping:
                section = self._take(isa.STEP_RECORD_WORDS)
                if section:
                    flags, code, low, high = section
                    self.steps.append((self.done, flags & ~isa.MARK_MASK, code, low | high << 16))
                return bool(section)
            return self._vector(mark, self.image.output_words, self.outputs, "output vector")
        if len(self.counters) < len(self.outputs):
            if mark & isa.MARK_MASK != isa.MARK_DONE:
                raise self._odd(mark, "a trailer")
            section = self._take(isa.TRAILER_WORDS)
            if section:
                self.counters.append(self._counters(section))
            return bool(section)
        return self._vector(mark, self.image.state_words, self.states, "state vector")

    def _counters(self, trailer: list[int]) -> tuple[int, ...]:
        head, c_low, c_high, rhs, accepted, rejected, m_low, m_high, saturated, s_low, s_high = trailer
        cycles, macs = c_low | c_high << 16, m_low | m_high << 16
        skipped = (s_low | s_high << 16) * self.image.config.lanes
        return head & ~isa.MARK_MASK, cycles, rhs, accepted, rejected, macs, saturated, skipped

    def _vector(self, mark: int, size: int, into: list[list[int]], what: str) -> bool:
        if mark != isa.MARK_VECTOR | size or self.complete:
            raise self._odd(mark, "nothing more" if self.complete else f"{what} of {size} words")
        section = self._take(1 + size)
        if section:
            into.append(section[1:])
        return bool(section)

    def _take(self, count: int) -> list[int]:
        if len(self._pending) < self._at + count:
            return []
        section: list[int] = self._pending[self._at : self._at + count].tolist()
        self._at += count
        self._taken += count
        return section

    def _odd(self, mark: int, expected: str) -> DeviceError:
        return DeviceError(
            f"the device's output stream is out of step at frame {self.finished}: word {self._taken} is 0x{mark:04x}, "
            f"expected {expected}"
        )
