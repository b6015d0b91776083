# SPDX-License-Identifier: BSD-2-Clause
"""Several devices behind one queue: sequences are dealt out to whichever is free, and to the others where one fails."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import numpy.typing as npt

from liquid_accel import data
from liquid_accel.data import Dataset
from liquid_accel.driver.device import Device, check_inputs
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.frames import encode_time
from liquid_accel.driver.result import Result, merge
from liquid_accel.driver.targets import open_target
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig

Progress = Callable[[int, int], None]
SHARES = 4  # of a batch for each device: enough that they end at about the same time, whatever their speeds


@dataclass(eq=False)
class _Job:
    """Sequences for one device. `told` is given the number of frames that are finished."""

    batch: Dataset
    states: bool
    trace: bool
    told: Callable[[int], None] | None = None
    future: Future[Result] = field(default_factory=Future)


class Pool:
    """Devices that share the work; use it with `with`, or call `close`.

        with liquid_accel.Pool(["uart:/dev/ttyUSB0", "uart:/dev/ttyUSB1"]) as pool:
            pool.load(image)
            result = pool.run(x, dt=1.0)                # a batch, dealt out by sequences
            future = pool.submit(sequence)              # one sequence for whoever is free: future.result()

    `devices` are names of targets, which are opened with `config` and closed by `close`, or devices, which stay their
    owner's. Any thread may call; results do not depend on who computed what, since sequences begin from a fresh state.
    A device that raises `DeviceError` is taken out (`failures`), and its sequences go to the others; only where none is
    left do calls raise `DeviceError`. `load` takes all of them in again.
    """

    def __init__(self, devices: Sequence[str | Device], config: LiquidConfig | None = None) -> None:
        if not devices or isinstance(devices, str):
            raise UserError(f"pool: devices is {devices!r}; expected a list of one target or device at least")
        self._devices: list[Device] = []
        self._own: list[Device] = []
        try:
            for device in devices:
                if isinstance(device, str):
                    device = open_target(device, config)
                    self._own.append(device)
                self._devices.append(device)
        except BaseException:
            self._close_own()
            raise
        self._image: Image | None = None
        self._loading = threading.Lock()
        self._changed = threading.Condition()  # guards all that follows
        self._jobs: deque[_Job] = deque()
        self._failures: dict[Device, DeviceError] = {}
        self._workers: dict[Device, threading.Thread] = {}  # of the devices that work
        self._closed = False

    @property
    def devices(self) -> tuple[Device, ...]:
        """All devices, in the order in which they were given."""
        return tuple(self._devices)

    @property
    def failures(self) -> dict[Device, DeviceError]:
        """The devices that were taken out, and why."""
        with self._changed:
            return dict(self._failures)

    # ---- Images ------------------------------------------------------------------------------------------------

    def load(self, image: Image) -> None:
        """Load every device, at the same time; one that fails is taken out, one taken out before is in again.

        What was submitted before is finished first, with the image of that time. Raises `UserError` where the image
        does not fit one of them, and `DeviceError` where all fail.
        """
        with self._loading:
            self._retire()
            failures: dict[Device, DeviceError] = {}
            with ThreadPoolExecutor(len(self._devices)) as pool:
                loads = {device: pool.submit(device.load, image) for device in self._devices}
            for device, load in loads.items():
                try:
                    load.result()
                except DeviceError as error:
                    failures[device] = error
            with self._changed:
                self._open()
                self._image, self._failures = image, failures
                for device in self._devices:
                    if device not in failures:
                        worker = threading.Thread(target=self._work, args=(device,), name="liquid-pool", daemon=True)
                        self._workers[device] = worker
                        worker.start()
                if not self._workers:
                    raise self._none_left()

    def _retire(self) -> None:
        """Let the workers finish what was submitted, and end them."""
        with self._changed:
            self._open()
            self._image = None
            workers = list(self._workers.values())
            self._changed.notify_all()
        for worker in workers:
            worker.join()

    # ---- Work --------------------------------------------------------------------------------------------------

    def run(
        self,
        x: npt.ArrayLike | Dataset,
        dt: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
        *,
        states: bool = False,
        trace: bool = False,
        progress: Progress | None = None,
    ) -> Result:
        """What `Device.run` gives for the same arguments, computed by all devices. `progress` is called by their
        threads, one at a time. Raises `UserError`, and `DeviceError` where no device is left."""
        batch = self._checked(x, dt, lengths)
        total = int(batch.lengths.sum())
        shares = _shares(batch, len(self._devices))
        done = [0] * len(shares)
        lock = threading.Lock()

        def teller(index: int) -> Callable[[int], None] | None:
            if progress is None:
                return None

            def told(finished: int) -> None:
                with lock:
                    done[index] = max(done[index], finished)  # it begins anew where a device failed
                    progress(sum(done), total)

            return told

        jobs = [_Job(batch.subset(rows), states, trace, teller(index)) for index, rows in enumerate(shares)]
        self._put(jobs)
        try:
            return merge([(rows, job.future.result()) for rows, job in zip(shares, jobs)])
        except BaseException:
            for job in jobs:
                job.future.cancel()
            raise

    def submit(
        self, x: npt.ArrayLike, dt: npt.ArrayLike | None = None, *, states: bool = False, trace: bool = False
    ) -> Future[Result]:
        """Queue one sequence x (time, features), or a few of equal length; the result comes with the future.

        The future can be cancelled until a device begins with it, and raises `DeviceError` where no device is left.
        Raises `UserError` at once for arrays that are not sound.
        """
        job = _Job(self._checked(x, dt, None), states, trace)
        self._put([job])
        return job.future

    def _checked(self, x: npt.ArrayLike | Dataset, dt: npt.ArrayLike | None, lengths: npt.ArrayLike | None) -> Dataset:
        with self._changed:
            image = self._open()
        if image is None:
            raise UserError("pool: no image is loaded; expected load(image) before sequences")
        if isinstance(x, Dataset):
            batch = x
        else:
            given = {"x": x, "dt": dt, "lengths": lengths}
            arrays = {key: np.asarray(array) for key, array in given.items() if array is not None}
            batch = data.from_arrays(arrays, image.default_dt)
        check_inputs(image, batch)
        encode_time(image, image.data_dt(batch.dt, batch.dt_given), batch.name)
        return batch

    def _put(self, jobs: Sequence[_Job]) -> None:
        with self._changed:
            if self._open() is None:
                raise UserError("pool: it is being loaded; expected sequences before or after that")
            if not self._workers:
                raise self._none_left()
            self._jobs.extend(jobs)
            self._changed.notify_all()

    def _work(self, device: Device) -> None:
        """The thread of a device: a job after the other, until it fails or there are none and the image goes."""
        while True:
            with self._changed:
                while not self._jobs and self._image is not None and not self._closed:
                    self._changed.wait()
                if self._closed or not self._jobs:
                    del self._workers[device]
                    return
                job = self._jobs.popleft()
            if not (job.future.running() or job.future.set_running_or_notify_cancel()):
                continue
            told = job.told
            progress = None if told is None else (lambda done, _total, told=told: told(done))
            try:
                result = device.run(job.batch, states=job.states, trace=job.trace, progress=progress)
            except DeviceError as error:
                self._take_out(device, job, error)
                return
            except BaseException as error:  # whoever waits for it is told
                job.future.set_exception(error)
            else:
                job.future.set_result(result)

    def _take_out(self, device: Device, job: _Job, error: DeviceError) -> None:
        """The device goes, its job to the head of the queue; or where it was the last one, all jobs fail."""
        with self._changed:
            del self._workers[device]
            self._failures[device] = error
            self._jobs.appendleft(job)
            if self._workers and not self._closed:
                self._changed.notify_all()
                return
            lost, failure = list(self._jobs), self._none_left()
            self._jobs.clear()
        for each in lost:
            if each.future.running() or each.future.set_running_or_notify_cancel():
                each.future.set_exception(failure)

    # ---- Ends --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the work, also what is under way on devices that were opened here, and close those. A sequence that is
        not finished raises `DeviceError` or counts as cancelled. A second call does nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            workers, jobs = list(self._workers.values()), list(self._jobs)
            self._jobs.clear()
            self._changed.notify_all()
        for job in jobs:
            if not job.future.cancel() and job.future.running():
                job.future.set_exception(DeviceError("the pool was closed before the sequence was finished"))
        self._close_own()
        for worker in workers:
            worker.join()

    def _close_own(self) -> None:
        for device in self._own:
            device.close()

    def _open(self) -> Image | None:
        if self._closed:
            raise UserError("pool: it is closed; expected calls before that")
        return self._image

    def _none_left(self) -> DeviceError:
        if self._closed:
            return DeviceError("the pool was closed before the sequence was finished")
        last = list(self._failures.values())[-1]
        return DeviceError(f"no device of {len(self._devices)} is left; the last one failed: {last}")

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _shares(batch: Dataset, devices: int) -> list[npt.NDArray[np.intp]]:
    """Rows of a batch for one job each: about equal numbers of frames, long sequences first."""
    count = 1 if devices == 1 else min(len(batch.x), SHARES * devices)
    order = np.argsort(-batch.lengths, kind="stable")
    return [np.sort(order[k::count]) for k in range(count)]
