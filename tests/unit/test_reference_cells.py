# SPDX-License-Identifier: BSD-2-Clause
"""The float reference's cells against torch, the package ncps and scipy: independent works, none of them ours."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from liquid_accel.checkpoint import Cfc, Checkpoint, Ctrnn, Features, Gru, Lstm, Ltc, Mean, Node, Synaptic, Task
from liquid_accel.data import Dataset, from_arrays
from liquid_accel.errors import UserError
from liquid_accel.layers import Cell
from liquid_accel.sim import reference
from liquid_accel.stack import layer_shapes

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; its own cells are the model here")

INPUTS, HIDDEN, BATCH, FRAMES = 3, 5, 2, 4
LENGTHS = np.array([4, 2])
DT = np.array([[1.0, 0.3, 0.7, 2.0], [0.5, 1.5, 1.0, 1.0]])
Arrays = dict[str, np.ndarray]


def network(tensors: Arrays, *layers: Any) -> Checkpoint:
    """Cells straight on features that are neither shifted nor scaled, their states the output."""
    extent = Features((0.0,) * INPUTS, (1.0,) * INPUTS, ((-8.0, 8.0),) * INPUTS)
    narrow = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
    return Checkpoint(layers, narrow, extent, Task("regression"))


def random_tensors(layer: Cell, sizes: dict[str, int], seed: int = 0, width: int = INPUTS) -> Arrays:
    """Normal tensors of a layer; `sizes` are those of its biases that set its shapes."""
    draw = np.random.default_rng(seed)
    given = {f"{layer.name}.{name}": np.zeros(size, np.float32) for name, size in sizes.items()}
    shapes = layer_shapes(layer, width, HIDDEN, given, "test")
    return {name: (draw.normal(size=shape) * 0.7).astype(np.float32) for name, shape in shapes.items()}


def sequences(dt: np.ndarray = DT, seed: int = 1) -> Dataset:
    x = np.random.default_rng(seed).normal(size=(BATCH, FRAMES, INPUTS)).astype(np.float32)
    return from_arrays({"x": x, "dt": dt, "lengths": LENGTHS})


def noted(net: Checkpoint, data: Dataset, solver: str = "fused") -> tuple[reference.Run, dict[str, list[np.ndarray]]]:
    """The run, and what `note` heard by name, the "net." in front taken away."""
    heard = defaultdict(list)
    run = reference.run(net, data, solver, note=lambda name, values: heard[name.removeprefix("net.")].append(values))
    return run, heard


def inside(values: np.ndarray) -> np.ndarray:
    """Rows of the frames that are within their sequences, frame by frame as the reference goes."""
    mask = np.arange(FRAMES)[None, :] < LENGTHS[:, None]
    return values.swapaxes(0, 1)[mask.T]


@pytest.mark.parametrize(("layer", "module"), [(Gru("net"), torch.nn.GRU), (Lstm("net"), torch.nn.LSTM)])
def test_gru_and_lstm_are_torch_s(layer: Cell, module: Any) -> None:
    torch.manual_seed(0)
    model = module(INPUTS, HIDDEN, batch_first=True).double()
    tensors = {f"net.{name.removesuffix('_l0')}": value.detach().numpy() for name, value in model.named_parameters()}
    model.load_state_dict({f"{name.removeprefix('net.')}_l0": torch.from_numpy(np.float32(value)).double()
                           for name, value in tensors.items()})  # fmt: skip
    data = sequences()
    run = reference.run(network(tensors, layer), data)
    with torch.no_grad():
        expected, _ = model(torch.from_numpy(data.x).double())
    mask = data.mask
    np.testing.assert_allclose(run.states[mask], expected.numpy()[mask], atol=1e-12)
    assert np.array_equal(run.rhs_evals, mask.astype(int)), "one update a frame within its sequence"


def test_a_gru_notes_what_its_equations_hold() -> None:
    layer = Gru("net")
    tensors = random_tensors(layer, {"bias_hh": 3 * HIDDEN})
    data = sequences()
    run, heard = noted(network(tensors, layer), data)
    held = {name: np.concatenate(parts) for name, parts in heard.items()}
    x = inside(data.x.astype(np.float64))
    before = inside(np.concatenate([np.zeros((BATCH, 1, HIDDEN)), run.states[:, :-1]], axis=1))
    for index, gate in enumerate("rzn"):
        rows = slice(index * HIDDEN, (index + 1) * HIDDEN)
        product = x @ tensors["net.weight_ih"][rows].T + tensors["net.bias_ih"][rows]
        np.testing.assert_allclose(held[f"input_{gate}"], product, atol=1e-12)
        product = before @ tensors["net.weight_hh"][rows].T + tensors["net.bias_hh"][rows]
        np.testing.assert_allclose(held[f"recurrent_{gate}"], product, atol=1e-12)
    reset = 1 / (1 + np.exp(-held["pre_r"]))
    np.testing.assert_allclose(held["pre_n"], held["input_n"] + reset * held["recurrent_n"], atol=1e-12)
    np.testing.assert_allclose(held["state"], inside(run.states), atol=1e-12)
    assert held.keys() == {"input", "state", *(f"{k}_{g}" for k in ("input", "recurrent", "pre") for g in "rzn")}


def test_an_lstm_notes_its_gates_and_its_cell() -> None:
    layer = Lstm("net")
    run, heard = noted(network(random_tensors(layer, {"bias_hh": 4 * HIDDEN}), layer), sequences())
    held = {name: np.concatenate(parts) for name, parts in heard.items()}
    assert held.keys() == {
        "input", "state", "cell", *(f"{k}_{g}" for k in ("input", "recurrent", "pre") for g in "ifgo"),
    }  # fmt: skip
    np.testing.assert_allclose(held["pre_f"], held["input_f"] + held["recurrent_f"], atol=1e-12)
    out = 1 / (1 + np.exp(-held["pre_o"]))
    np.testing.assert_allclose(held["state"], out * np.tanh(held["cell"]), atol=1e-12)
    np.testing.assert_allclose(held["state"], inside(run.states), atol=1e-12)


CFC_CASES = [("lecun_tanh", 1, "default"), ("relu", 2, "no_gate"), ("tanh", 2, "default"), ("lecun_tanh", 0, "default")]


@pytest.mark.parametrize(("act", "count", "mode"), CFC_CASES)
def test_cfc_is_that_of_ncps(act: str, count: int, mode: str) -> None:
    from ncps.torch import CfCCell

    torch.manual_seed(0)
    cell = CfCCell(INPUTS, HIDDEN, mode, act, backbone_units=7, backbone_layers=count)
    tensors = {}
    for name, value in cell.state_dict().items():
        # Every other module of the backbone is its activation.
        part = name.split(".")
        own = f"backbone.{int(part[1]) // 2}.{part[2]}" if part[0] == "backbone" else name
        tensors[f"net.{own}"] = value.numpy()
    data = sequences()
    layer = Cfc("net", count, act, mode)
    run, heard = noted(network(tensors, layer), data)
    cell, x, dt = cell.double(), torch.from_numpy(data.x).double(), torch.from_numpy(data.dt)
    h = torch.zeros(BATCH, HIDDEN, dtype=torch.double)
    with torch.no_grad():
        for frame in range(FRAMES):
            h, _ = cell(x[:, frame], h, dt[:, frame, None])
            rows = data.mask[:, frame]
            np.testing.assert_allclose(run.states[rows, frame], h.numpy()[rows], atol=1e-7)
    heads = ("ff1", "ff2", "time_a", "time_b")
    assert heard.keys() == {"input", "time", "state", *heads, *(f"backbone{index}" for index in range(count))}
    held = {name: np.concatenate(heard[name]) for name in ("time", "time_a", "time_b")}
    ts = inside(data.dt[..., None])
    np.testing.assert_allclose(held["time"], held["time_a"] * ts + held["time_b"], atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.floats(0.3, 1.0), st.integers(1, 8))
def test_the_synaptic_cell_is_that_of_ncps(seed: int, density: float, unfolds: int) -> None:
    from ncps.torch import LTCCell
    from ncps.wirings import Wiring

    draw = np.random.default_rng(seed)
    wiring = Wiring(HIDDEN)
    wiring.build(INPUTS)
    wiring.set_output_dim(HIDDEN)
    for adjacency in (wiring.adjacency_matrix, wiring.sensory_adjacency_matrix):
        adjacency[...] = draw.choice([-1, 1], adjacency.shape) * (draw.random(adjacency.shape) < density)
    torch.manual_seed(seed)
    cell = LTCCell(wiring, INPUTS, ode_unfolds=unfolds)
    for name in ("input_w", "input_b", "output_w", "output_b"):
        torch.nn.init.normal_(getattr(cell, name))
    weights = {name.replace("sparsity_mask", "mask"): value.numpy() for name, value in cell.state_dict().items()}
    tensors = {f"net.{name}": value for name, value in weights.items()}
    data = sequences(seed=seed)
    layer = Synaptic("net", unfolds)
    run, heard = noted(network(tensors, layer), data)
    cell, x, dt = cell.double(), torch.from_numpy(data.x).double(), torch.from_numpy(data.dt)
    v = torch.zeros(BATCH, HIDDEN, dtype=torch.double)
    with torch.no_grad():
        for frame in range(FRAMES):
            out, v = cell(x[:, frame], v, dt[:, frame, None])
            rows = data.mask[:, frame]
            np.testing.assert_allclose(run.states[rows, frame], v.numpy()[rows], atol=1e-9)
            np.testing.assert_allclose(run.outputs[rows, frame], out.numpy()[rows], atol=1e-9)
    assert np.array_equal(run.rhs_evals, unfolds * data.mask)
    numerator, denominator = np.concatenate(heard["numerator"]), np.concatenate(heard["denominator"])
    np.testing.assert_allclose(np.concatenate(heard["state"]), numerator / denominator, atol=1e-6)
    if "synapse" in heard:
        assert heard["synapse"][0].shape[1] == tensors["net.mask"].sum()


def test_time_stands_still_where_dt_is_zero() -> None:
    tensors = random_tensors(Synaptic("net"), {"vleak": HIDDEN})
    tensors = {name: np.abs(value) for name, value in tensors.items()}
    tensors |= {f"net.{name}": np.ones_like(tensors[f"net.{name}"]) for name in ("mask", "sensory_mask")}
    run = reference.run(network(tensors, Synaptic("net")), sequences(DT * [1, 0, 1, 1]))
    assert np.array_equal(run.states[:, 1], run.states[:, 0])
    assert run.rhs_evals[:, 1].tolist() == [0, 0]


def by_scipy(slope: Any, data: Dataset) -> np.ndarray:
    """States (B, T, H) of dh/dt = slope(h, x), the input held over each frame; 0 past a sequence's end."""
    states = np.zeros((BATCH, FRAMES, HIDDEN))
    for row in range(BATCH):
        h = np.zeros(HIDDEN)
        for frame in range(data.lengths[row]):
            x = data.x[row, frame].astype(np.float64)
            span = (0.0, float(data.dt[row, frame]))
            h = solve_ivp(lambda _, h, x=x: slope(h, x), span, h, "LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
            states[row, frame] = h
    return states


def double(tensors: Arrays) -> Arrays:
    return {name.removeprefix("net."): value.astype(np.float64) for name, value in tensors.items()}


@pytest.mark.parametrize(("solver", "tolerance"), [("exact", 1e-7), ("rk4", 2e-3)])
def test_ctrnn_and_coupled_ltc_solve_their_equations(solver: str, tolerance: float) -> None:
    data = sequences()
    tensors = random_tensors(Ctrnn("net"), {"bias": HIDDEN})
    p = double(tensors)
    expected = by_scipy(
        lambda h, x: (np.tanh(p["recurrent_weight"] @ h + p["input_weight"] @ x + p["bias"]) - h)
        / np.log(1 + np.exp(p["tau_bias"])), data,
    )  # fmt: skip
    run = reference.run(network(tensors, Ctrnn("net")), data, solver, steps=8)
    np.testing.assert_allclose(run.states, expected, atol=tolerance)
    mask = data.mask
    np.testing.assert_allclose(run.taus[mask], np.broadcast_to(np.log(1 + np.exp(p["tau_bias"])), (mask.sum(), HIDDEN)))

    layer = Ltc("net", "input", "sigmoid", tau_recurrent=True)
    tensors = random_tensors(layer, {"bias": HIDDEN}, 2)
    p = double(tensors)

    def slope(h: np.ndarray, x: np.ndarray) -> np.ndarray:
        tau = np.log(1 + np.exp(p["tau_weight"] @ x + p["tau_recurrent_weight"] @ h + p["tau_bias"]))
        return (1 / (1 + np.exp(-(p["recurrent_weight"] @ h + p["input_weight"] @ x + p["bias"]))) - h) / tau

    run, heard = noted(network(tensors, layer), data, solver)
    np.testing.assert_allclose(run.states, by_scipy(slope, data), atol=max(tolerance, 1e-7) * 5)
    whole = np.concatenate(heard["tau.recurrent"]).reshape(2, mask.sum(), HIDDEN)
    np.testing.assert_allclose(whole[1], run.states[mask] @ p["tau_recurrent_weight"].T, atol=1e-12)
    assert heard.keys() == {"input", "drive", "recurrent", "pre", "tau.drive", "tau.recurrent", "tau.pre", "state"}


def test_a_node_solves_its_equation_and_refuses_gates_of_decay() -> None:
    layer = Node("net", ("tanh", "softplus", None))
    tensors = random_tensors(layer, {"layers.0.bias": 7, "layers.1.bias": 6, "layers.2.bias": HIDDEN})
    p, data = double(tensors), sequences()

    def slope(h: np.ndarray, x: np.ndarray) -> np.ndarray:
        z = np.tanh(p["layers.0.weight"] @ h + p["input_weight"] @ x + p["layers.0.bias"])
        z = np.log(1 + np.exp(p["layers.1.weight"] @ z + p["layers.1.bias"]))
        return p["layers.2.weight"] @ z + p["layers.2.bias"]

    expected, net = by_scipy(slope, data), network(tensors, layer)
    np.testing.assert_allclose(reference.run(net, data, "exact").states, expected, atol=1e-7)
    run, heard = noted(net, data, "rk4")
    np.testing.assert_allclose(run.states, expected, atol=1e-3)
    assert run.taus.shape[-1] == 0
    assert heard.keys() == {"input", "layer0", "layer1", "layer2", "slope", "state"}
    ends = np.concatenate(heard["slope"]).reshape(2, -1, HIDDEN)[1]
    x = data.x[data.mask].astype(np.float64)
    np.testing.assert_allclose(ends, [slope(h, x) for h, x in zip(run.states[data.mask], x)], atol=1e-12)
    with pytest.raises(UserError, match="solver is 'fused', which needs time constants; a node layer has none"):
        reference.run(net, data, "fused")
    assert reference.default_solver(net) == "rk4"


def test_explicit_euler_of_a_node_adds_its_slope() -> None:
    layer = Node("net", ("relu",))
    tensors = random_tensors(layer, {"layers.0.bias": HIDDEN})
    p, data = double(tensors), sequences()
    run = reference.run(network(tensors, layer), data, "euler", steps=1)
    first = np.maximum(data.x[0, 0].astype(np.float64) @ p["input_weight"].T + p["layers.0.bias"], 0)
    np.testing.assert_allclose(run.states[0, 0], first * DT[0, 0], atol=1e-12)


def test_stacked_cells_and_the_mean_of_all_of_them() -> None:
    gru, lstm = Gru("net"), Lstm("top")
    tensors = random_tensors(gru, {"bias_hh": 3 * HIDDEN}) | random_tensors(lstm, {"bias_hh": 4 * HIDDEN}, 3, HIDDEN)
    data = sequences()
    last = reference.run(network(tensors, gru, lstm), data).outputs
    first = reference.run(network({k: v for k, v in tensors.items() if k.startswith("net")}, gru), data).outputs
    run = reference.run(network(tensors, gru, lstm, Mean("all")), data)
    both = np.concatenate([first, last], axis=2)
    expected = np.cumsum(both, axis=1) / np.arange(1, FRAMES + 1)[None, :, None]
    np.testing.assert_allclose(run.outputs[data.mask], expected[data.mask], atol=1e-12)
    assert np.array_equal(run.rhs_evals, 2 * data.mask), "summed over cells"
    assert network(tensors, gru, lstm, Mean("all")).layer_widths() == (INPUTS, HIDDEN, HIDDEN, 2 * HIDDEN)


ORDERS = {"euler": 1, "heun": 2, "beuler": 1, "fused": 1, "expeuler": 1, "rk4": 4}


CASES = [
    *((Ltc("net", tau_recurrent=True), solver) for solver in ORDERS),
    *((Node("net", ("tanh", None)), solver) for solver in ORDERS if solver not in reference.DECAY),
]


@pytest.mark.parametrize(("layer", "solver"), CASES, ids=lambda value: getattr(value, "kind", value))
def test_solvers_keep_their_order_where_the_state_moves_the_time_constants(layer: Cell, solver: str) -> None:
    sizes = {"layers.0.bias": 7, "layers.1.bias": HIDDEN} if isinstance(layer, Node) else {"bias": HIDDEN}
    tensors = {name: 0.5 * value for name, value in random_tensors(layer, sizes).items()}
    net, data = network(tensors, layer), sequences()
    exact = reference.run(net, data, "exact").states
    errors = [np.abs(reference.run(net, data, solver, steps=steps).states - exact).max() for steps in (16, 32)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(ORDERS[solver], abs=0.35)
