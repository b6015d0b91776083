# SPDX-License-Identifier: BSD-2-Clause
"""A device that fails on purpose: the golden model behind a transport that breaks where it is told, and comes back."""

import numpy as np

from liquid_accel.rtl.registers import address, mask
from liquid_accel.rtl.transport import DeviceLost, Read, TransportError, Wait, Write
from liquid_accel.sim.golden import GoldenError, GoldenTransport

KINDS = ("lost before", "lost after", "silent before", "silent after", "reset", "stuck", "garbage", "short")
GARBAGE = 0x0BAD
_ABORT = mask("CONTROL", "ABORT")


class Flaky:
    """`faults`: operations, counted from 0 over all transactions, and what happens at them.

    lost: the device is reset, and the transport knows; every call raises until `reopen`. silent: the transport gives
    up, and the device lives on, with whatever stood in it. reset: the device is reset, and nobody says so. stuck:
    nothing is computed before an abort. garbage: other words come than the device sent. short: too few of them.
    """

    def __init__(self, config, faults=None):
        self.config = config
        self.faults = dict(faults or {})
        self.device = GoldenTransport(config)
        self.done = self.reopened = 0
        self.lost = self.stuck = self.closed = False
        self.happened = []

    def transact(self, operations):
        answers = []
        for operation in operations:
            if self.lost:
                raise DeviceLost("it was reset")
            fault = self.faults.get(self.done)
            self.done += 1
            if fault:
                self.happened.append(fault)
            if fault in ("lost before", "silent before"):
                self._fail(fault)
            if fault == "reset":
                self.device = GoldenTransport(self.config)
            self.stuck |= fault == "stuck"
            words = self._carry_out(operation)
            if fault in ("lost after", "silent after"):
                self._fail(fault)
            if fault == "garbage":
                words = np.full(len(words), GARBAGE, np.uint16)
            answers.append(words[:-1] if fault == "short" else words)
            if isinstance(operation, Wait) and len(words) and not words[0]:
                break
        return answers

    def _fail(self, fault):
        if fault.startswith("lost"):
            self.lost = True
            self.device = GoldenTransport(self.config)
            raise DeviceLost("it was reset")
        raise TransportError("no answer came")

    def _carry_out(self, operation):
        if isinstance(operation, Write):
            if operation.address == address("CONTROL") and operation.words[0] & _ABORT:
                self.stuck = False
            if not (self.stuck and operation.address == address("IN_DATA")):
                self.device.write(operation.address, operation.words)
            return np.zeros(0, np.uint16)
        try:
            if isinstance(operation, Read):
                return self.device.read(operation.address, operation.count)
            return np.array([not self.stuck and self.device.wait(operation.timeout_s)], np.uint16)
        except GoldenError:  # a program of zeros, which a machine would run for ever
            self.stuck, self.device = True, GoldenTransport(self.config)
            return self._carry_out(operation)

    def reopen(self):
        self.reopened += 1
        self.lost = False

    def close(self):
        self.closed = True
