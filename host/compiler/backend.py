# SPDX-License-Identifier: BSD-2-Clause
"""Puts an image together from what the other modules of the compiler make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler import formats, network, predict, program
from liquid_accel.compiler.options import CompileOptions
from liquid_accel.compiler.schedule import Scheduler
from liquid_accel.compiler.target import Target
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.layers import CELLS
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.formats import TICK_BITS
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, GATES, IMPLICIT

START_SEQUENCES = 32  # that an adaptive solver's first step is taken from


def build(model: Checkpoint, calibration: Dataset | None, config: LiquidConfig, options: CompileOptions) -> Image:
    """See `liquid_accel.compiler.compile`."""
    net = network.parse(model)
    data = formats.stand_in(model) if calibration is None else calibration
    ranges = formats.calibrate(model, net, data)
    _check_solver(net, options)
    adaptive = options.adaptive and net.equations
    if adaptive:
        ranges.first_step = _first_step(model, data, options, ranges)
    unit = formats.machine_unit(ranges.dts)
    target = Target(config)
    written = program.write(target, net, ranges, options, unit)
    target.check(len(written.code))
    code = Scheduler(config).schedule(written.code)
    second = model.time_unit_s or 1.0  # a unit of the model's time, in the unit of DATA's dt
    warnings = [*formats.thin(target.formats), *target.warnings]
    if calibration is None:
        warnings.append("no calibration data: formats and predictions rest on the ranges that the checkpoint stores")
    image = Image(
        config=config,
        sections=target.sections(code),
        inputs=model.in_features,
        outputs=model.out_features,
        output_words=written.output_words,
        state_size=net.cells[-1].size,
        state_words=written.state_words,
        input_mean=tuple(model.features.mean),
        input_scale=tuple(model.features.scale),
        input_frac_bits=written.input_frac_bits,
        output_frac_bits=written.output_frac_bits,
        state_frac_bits=written.state_frac_bits,
        time_unit_s=model.time_unit_s,
        machine_unit=unit * second,
        default_dt=model.default_dt * second,
        max_dt=written.longest_frame / 2**TICK_BITS * unit * second,
        solver=options.solver if net.equations else "none",
        steps=options.steps if net.equations and not adaptive else 0,
        rtol=options.rtol if options.tolerant and net.equations else 0.0,
        atol=options.atol if options.tolerant and net.equations else 0.0,
        adaptive=adaptive,
        cells=tuple(layer.kind for layer in model.layers if isinstance(layer, CELLS)),
        budget=options.budget if adaptive else 0,
        delta_thresholds=_thresholds(net, options),
        weight_bits=options.weight_bits,
        frame_macs=net.frame_macs,
        rhs_macs=net.rhs_macs,
        task=model.task.kind,
        formats=tuple(target.formats),
        bounds=tuple(target.bounds),
        memory_map=target.allocator.memory_map,
        tensors=tuple(target.tensors),
        regular_log_dt=written.regular_log_dt,
        cycles=predict.fixed_model(code, config.lanes),
        comments=tuple(instruction.comment for instruction in code),
        warnings=tuple(warnings),
        checkpoint_hash=network.checkpoint_hash(model),
    )
    if not image.cycles.exact:
        image = replace(image, cycles=predict.measured(image, data, data_dt(image, data)))
    return image


def data_dt(image: Image, data: Dataset) -> npt.NDArray[np.float64]:
    """dt (B, T) of a data set in the unit of DATA's dt; the image's default where the file held none."""
    return image.data_dt(data.dt, data.dt_given)


def _first_step(model: Checkpoint, data: Dataset, options: CompileOptions, ranges: formats.Ranges) -> float:
    """The mean step of the float solver on the first frames of some sequences, in the model's unit of time."""
    from liquid_accel.sim import reference

    some = data.subset(slice(0, START_SEQUENCES))
    name = "etd21" if options.solver in EXPONENTIAL_PAIRS else options.solver
    own = options.method if options.solver not in EXPONENTIAL_PAIRS else None
    settings = reference.SolverSettings(name, rtol=options.rtol, atol=options.atol, own=own)
    run = reference.run(model, some, settings)
    dt = model.model_dt(some.dt, some.dt_given)
    taken = run.accepted.sum()
    return float((dt * some.mask).sum() / taken) if taken else float(ranges.dts.max(initial=1.0))


def _thresholds(net: network.Network, options: CompileOptions) -> dict[str, float]:
    """Those of the layers that skip columns; `UserError` for one of a layer that the model has not."""
    names = [cell.name for cell in net.cells]
    for name in options.delta_thresholds:
        if name not in names:
            raise UserError(f"delta_threshold names layer '{name}'; expected a recurrent layer: {', '.join(names)}")
    return {name: found for name in names if (found := options.threshold(name)) is not None}


def _check_solver(net: network.Network, options: CompileOptions) -> None:
    """`UserError` for a solver that the layers have no use for."""
    if len(net.cells) > 1 and options.adaptive and net.equations:
        raise UserError(
            f"solver '{options.solver}' chooses the steps of one layer, and the model has {len(net.cells)} recurrent "
            "layers; expected a fixed-step solver"
        )
    decays = options.solver in {*GATES, *IMPLICIT, *EXPONENTIAL_PAIRS}
    for cell in net.cells:
        if decays and not isinstance(cell, network.Liquid) and cell.layer.kind == "node":
            raise UserError(
                f"solver '{options.solver}' needs time constants, and layer '{cell.name}' (node) has none; expected a "
                "Runge-Kutta method"
            )
