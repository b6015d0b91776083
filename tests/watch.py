# SPDX-License-Identifier: BSD-2-Clause
"""A program that goes on after errors of its device, and checks every word that it is given."""

from contextlib import contextmanager

import numpy as np
import pytest
from system.small import INPUTS

import liquid_accel
from liquid_accel.driver import DeviceError
from liquid_accel.errors import UserError

FRAMES = np.random.default_rng(5).normal(0, 1, (12, INPUTS)).astype(np.float32)
DT = np.random.default_rng(6).uniform(0, 2, 12)


@contextmanager
def known_outputs(image):
    """A function: the outputs (time, outputs) of a sequence of the frames with those indices, on the golden model."""
    known = {}
    with liquid_accel.open("golden", config=image.config) as device:
        device.load(image)

        def outputs(frames):
            for end in range(1, len(frames) + 1):
                head = tuple(frames[:end])
                if head not in known:
                    known[head] = device.run(FRAMES[list(head)], DT[list(head)]).y[0, -1]
            return [known[tuple(frames[:end])] for end in range(1, len(frames) + 1)]

        yield outputs


class Watch:
    """Uses a device as a program would that goes on after errors, and checks all that it gives."""

    def __init__(self, device, image, golden):
        self.device, self.image, self.golden = device, image, golden
        self.sequence = []  # of frames that were stepped, as the device's promises have it
        self.errors = []

    def load(self):
        for _ in range(9):
            try:
                self.device.load(self.image)
            except DeviceError as error:
                self.errors.append(error)
                with pytest.raises(UserError, match="no image is loaded"):
                    self.device.step(FRAMES[0])
            else:
                self.sequence = []
                return
        pytest.fail("nine loads failed")

    def step(self, frame, trace=False):
        try:
            y = self.device.step(FRAMES[frame], DT[frame], trace=trace)
        except DeviceError as error:
            self.errors.append(error)
            self.sequence = []
        else:
            self.sequence.append(frame)
            np.testing.assert_array_equal(y, self.golden(self.sequence)[-1])
            np.testing.assert_array_equal(self.device.last.y[0, 0], y)
        assert self.device.frames == len(self.sequence)

    def run(self, frames, trace=False):
        self.sequence = []
        try:
            result = self.device.run(FRAMES[frames], DT[frames], trace=trace)
        except DeviceError as error:
            self.errors.append(error)
        else:
            np.testing.assert_array_equal(result.y[0], self.golden(frames))

    def stream(self, frames, close_after=None):
        self.sequence, got = [], []
        try:
            for y in self.device.stream((FRAMES[k], DT[k]) for k in frames):
                got.append(y)
                if len(got) == close_after:
                    break
            else:
                assert len(got) == len(frames)
        except DeviceError as error:
            self.errors.append(error)
        np.testing.assert_array_equal(got, self.golden(frames)[: len(got)])

    def session(self):
        self.load()
        self.step(0)
        self.step(1, trace=True)
        self.run([2, 3, 4])
        self.stream([5, 6, 7], close_after=1)
        self.step(8)
        self.step(9)

    def calm(self):
        """No fault is to come: everything works."""
        before = len(self.errors)
        self.stream([3, 4])
        self.step(6)
        self.step(7)
        assert len(self.errors) == before
        assert self.sequence == [6, 7]
