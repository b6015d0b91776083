# SPDX-License-Identifier: BSD-2-Clause
"""The float reference: a checkpoint over a data set in NumPy float64, without torch.

It says what the model means, so that what quantisation and an approximate solver cost can be told apart. It runs
any checkpoint layer by layer, whole batches at once, with any solver of `reference_settings`;
`weights` puts other numbers into the same layers (the de-quantised network, say).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint, Linear, Mean, Node
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import ButcherTableau
from liquid_accel.sim.reference_cells import run_cell
from liquid_accel.sim.reference_equation import Array, Field, Inside, Progress, Trajectory, activation
from liquid_accel.sim.reference_fields import Note, ltc_field
from liquid_accel.sim.reference_settings import SOLVERS, Solve, SolverSettings

__all__ = ["DECAY", "SOLVERS", "Run", "SolverSettings", "default_solver", "ltc_field", "run"]

# Those that use that h decays towards a target, which a node layer has not.
DECAY = ("fused", "expeuler", "etd21")


@dataclass(frozen=True)
class Run:
    """What the reference computed; whatever lies past a sequence's length is 0.

    `outputs` (B, T, C): the last layer's output a frame, for a classifier the logits of the running mean up to
    and including that frame; `states` (B, T, H) and `taus` (B, T, H), in the model's unit of time, of the last
    cell (H = 0 without one, and where it has no time constants); per frame, summed over cells, int64 (B, T):
    `rhs_evals` evaluations of the right-hand side, `accepted` and `rejected` steps; `lengths` (B,);
    `trajectories`: what the solver did in each cell that is an equation, its warnings among it.
    """

    outputs: Array
    states: Array
    taus: Array
    rhs_evals: npt.NDArray[np.int64]
    accepted: npt.NDArray[np.int64]
    rejected: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]
    trajectories: tuple[Trajectory, ...] = ()

    @property
    def columns(self) -> npt.NDArray[np.int64]:
        """Columns of recurrent weights used (B, T), over all cells that are equations: H a whole product."""
        return sum((t.columns for t in self.trajectories), np.zeros_like(self.rhs_evals))

    @property
    def products_per_frame(self) -> float:
        """Mean recurrent products a frame that the columns used come to, of the last cell that is an equation."""
        last = self.trajectories[-1]
        return float(last.columns.sum() / (last.states.shape[2] * self.lengths.sum()))

    @property
    def final(self) -> Array:
        """Outputs at each sequence's last frame (B, C)."""
        last: Array = self.outputs[np.arange(len(self.outputs)), self.lengths - 1]
        return last

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The class of the largest final output (B,)."""
        return self.final.argmax(1).astype(np.int64)

    def accuracy(self, labels: npt.NDArray[np.integer]) -> float:
        """Fraction of the sequences whose label is right, 0 to 1."""
        return float(np.mean(self.labels == labels))

    @property
    def rhs_evals_per_frame(self) -> float:
        """Mean evaluations of the right-hand side over all frames within their sequences."""
        return float(self.rhs_evals.sum() / self.lengths.sum())


def run(
    checkpoint: Checkpoint,
    data: Dataset,
    solver: SolverSettings | ButcherTableau | str = "fused",
    *,
    steps: int = 4,
    weights: Mapping[str, npt.NDArray[np.floating]] | None = None,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Run:
    """Run `checkpoint` over `data`.

    `solver` is a name or a tableau, with `steps` sub-steps a frame, or whole settings; cells that update themselves do
    without.
    `weights` replaces the tensors by others of the same names and shapes. `progress(done, total)` is called once a
    frame of each cell. `note(name, values)` hears of values on the way, (N, width) for frames within their sequences:
    "input", "{name}.pre" of a linear layer in front of its activation, "mean", and those of `run_cell`.
    """
    settings = SolverSettings.given(solver, steps)
    if data.x.shape[-1] != checkpoint.in_features:
        raise UserError(f"{data.name}: x has {data.x.shape[-1]} features; expected {checkpoint.in_features}")
    tensors = _tensors(checkpoint, weights)
    inside = data.mask
    dt = checkpoint.model_dt(data.dt, data.dt_given)
    values = np.where(inside[..., None], checkpoint.features.normalise(data.x), 0.0)
    counts = np.zeros((3, *inside.shape), np.int64)
    states = taus = np.zeros((*inside.shape, 0))
    cells: list[Array] = []
    trajectories: list[Trajectory] = []
    tell = note or (lambda name, values: None)
    tell("input", values[inside])
    for layer in checkpoint.layers:
        if isinstance(layer, Linear):
            product = values @ tensors[f"{layer.name}.weight"].T + tensors[f"{layer.name}.bias"]
            tell(f"{layer.name}.pre", product[inside])
            values = activation(layer.activation)(product)
        elif isinstance(layer, Mean):
            pooled = np.concatenate(cells, axis=2) if layer.of == "all" else values
            values = np.cumsum(pooled, axis=1) / np.arange(1, pooled.shape[1] + 1)[None, :, None]
            tell("mean", values[inside])
        else:
            if isinstance(layer, Node) and settings.name in DECAY:
                raise UserError(f"solver is '{settings.name}', which needs time constants; a node layer has none")
            cell = run_cell(layer, tensors, values, dt, inside, _recorded(settings, trajectories), note, progress)
            values, states = cell.outputs, cell.states
            cells.append(np.where(inside[..., None], values, 0.0))
            taus = np.where(inside[..., None], cell.taus, 0.0)
            counts += np.stack([cell.rhs_evals, cell.accepted, cell.rejected])
        values = np.where(inside[..., None], values, 0.0)
    states = np.where(inside[..., None], states, 0.0)
    return Run(values, states, taus, counts[0], counts[1], counts[2], data.lengths, tuple(trajectories))


def default_solver(checkpoint: Checkpoint) -> str:
    """"fused", as cells are trained; "rk4" where a node layer leaves no decay to use."""
    return "rk4" if any(isinstance(layer, Node) for layer in checkpoint.layers) else "fused"


def _tensors(
    checkpoint: Checkpoint, weights: Mapping[str, npt.NDArray[np.floating]] | None
) -> dict[str, Array]:
    chosen = checkpoint.tensors if weights is None else weights
    for name, tensor in checkpoint.tensors.items():
        if name not in chosen or chosen[name].shape != tensor.shape:
            held = f"of shape {chosen[name].shape}" if name in chosen else "missing"
            raise UserError(f"weights: tensor '{name}' is {held}; expected shape {tensor.shape}")
    return {name: np.asarray(chosen[name], np.float64) for name in checkpoint.tensors}


def _recorded(settings: SolverSettings, trajectories: list[Trajectory]) -> Solve:
    """The solver of `settings`, what it did being added to `trajectories`."""
    solve = settings.solver()

    def recorded(equation: Field, dt: Array, inside: Inside, progress: Progress | None = None) -> Trajectory:
        trajectories.append(solve(equation, dt, inside, progress))
        return trajectories[-1]

    return recorded
