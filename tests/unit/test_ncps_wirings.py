# SPDX-License-Identifier: BSD-2-Clause
"""Our wirings against those of the package ncps: every synapse and polarity alike, however often they are built."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

theirs = pytest.importorskip("ncps.wirings", reason="ncps, of the optional extra `bench`, is what is compared with")

from liquid_accel.ncps import wirings as ours  # noqa: E402  (after the check that ncps is there)

CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("FullyConnected", (7,), {}),
    ("FullyConnected", (9, 3), {"erev_init_seed": 5, "self_connections": False}),
    ("Random", (8,), {"sparsity_level": 0.6}),
    ("Random", (11, 4), {"sparsity_level": 0.25, "random_seed": 3}),
    ("NCP", (10, 8, 3, 4, 5, 6, 4), {}),
    ("NCP", (12, 9, 2, 1, 1, 3, 1), {"seed": 9}),  # thin enough that some neurons are left out at first
    ("AutoNCP", (28, 4), {}),
    ("AutoNCP", (19, 2), {"sparsity_level": 0.9, "seed": 7}),
]


@pytest.mark.parametrize("inputs", [1, 6])
@pytest.mark.parametrize(("name", "given", "named"), CASES)
def test_synapses_are_those_of_ncps(name: str, given: tuple[Any, ...], named: dict[str, Any], inputs: int) -> None:
    a, b = getattr(theirs, name)(*given, **named), getattr(ours, name)(*given, **named)
    for _ in range(2):  # a wiring that two layers share is built twice
        a.build(inputs)
        b.build(inputs)
        np.testing.assert_array_equal(b.adjacency_matrix, a.adjacency_matrix)
        np.testing.assert_array_equal(b.sensory_adjacency_matrix, a.sensory_adjacency_matrix)
    assert (b.units, b.input_dim, b.output_dim, b.num_layers) == (a.units, a.input_dim, a.output_dim, a.num_layers)
    assert (b.synapse_count, b.sensory_synapse_count) == (a.synapse_count, a.sensory_synapse_count)
    for layer in range(a.num_layers):
        assert b.get_neurons_of_layer(layer) == a.get_neurons_of_layer(layer)
    for neuron in range(a.units):
        assert b.get_type_of_neuron(neuron) == a.get_type_of_neuron(neuron)


def test_wrong_wirings_are_named() -> None:
    wiring = ours.Wiring(3)
    with pytest.raises(ValueError, match=r"call build\(\)"):
        wiring.add_sensory_synapse(0, 0, 1)
    wiring.build(2)
    with pytest.raises(ValueError, match="built for 2 inputs, not 4"):
        wiring.build(4)
    with pytest.raises(ValueError, match="polarity is 2"):
        wiring.add_synapse(0, 1, 2)
    with pytest.raises(ValueError, match="leads to 3; expected 0 to 2"):
        wiring.add_synapse(0, 3, 1)
    with pytest.raises(ValueError, match="sensory_fanout is 5"):
        ours.NCP(4, 4, 2, 5, 2, 2, 2)


@pytest.mark.parametrize(("name", "given", "named"), CASES)
def test_a_configuration_makes_the_same_wiring(name: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    a, b = getattr(theirs, name)(*given, **named), getattr(ours, name)(*given, **named)
    config = b.get_config()
    if name != "NCP":  # whose seed ncps forgets, and draws a new one
        assert config == a.get_config()
    again = type(b).from_config(config)
    b.build(4)
    again.build(4)
    np.testing.assert_array_equal(again.adjacency_matrix, b.adjacency_matrix)
    np.testing.assert_array_equal(again.sensory_adjacency_matrix, b.sensory_adjacency_matrix)


def test_a_wiring_made_by_hand_survives_its_configuration() -> None:
    made = []
    for package in (theirs, ours):
        wiring = package.Wiring(3)
        wiring.set_output_dim(1)
        wiring.build(2)
        wiring.add_synapse(0, 2, -1)
        wiring.add_sensory_synapse(1, 0, 1)
        made.append(wiring)
    assert made[1].get_config() == made[0].get_config()
    again = ours.Wiring.from_config(made[0].get_config())
    np.testing.assert_array_equal(again.adjacency_matrix, made[0].adjacency_matrix)
    np.testing.assert_array_equal(again.sensory_adjacency_matrix, made[0].sensory_adjacency_matrix)
    assert (again.input_dim, again.output_dim) == (2, 1)
    assert ours.Wiring.from_config(ours.Wiring(2).get_config()).sensory_adjacency_matrix is None


def test_graphs_are_those_of_ncps() -> None:
    pytest.importorskip("networkx", reason="networkx, which comes with torch, makes the graph")
    graphs = []
    for package in (theirs, ours):
        wiring = package.AutoNCP(19, 2, 0.7)
        if package is ours:
            with pytest.raises(ValueError, match=r"call build\(\) before the graph"):
                wiring.get_graph()
        wiring.build(3)
        graphs.append(wiring.get_graph())
    assert dict(graphs[0].nodes(data=True)) == dict(graphs[1].nodes(data=True))
    assert sorted(graphs[0].edges(data="polarity")) == sorted(graphs[1].edges(data="polarity"))
    assert not any(node.startswith("sensory") for node in wiring.get_graph(include_sensory_neurons=False))


def test_a_wiring_is_drawn() -> None:
    pytest.importorskip("networkx", reason="networkx, which comes with torch, makes the graph")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    wiring = ours.AutoNCP(12, 2)
    wiring.build(3)
    figure = pyplot.figure()
    for layout, colours in (("kamada", None), ("shell", "tab:gray")):
        handles = wiring.draw_graph(layout, {"motor": "red"}, colours, draw_labels=True)
        assert [handle.get_label() for handle in handles] == ["Inter neurons", "Motor neurons", "Sensory neurons"]
    assert {text.get_text() for text in figure.axes[0].texts} >= {"neuron_0", "sensory_2"}
    pyplot.close(figure)
    with pytest.raises(ValueError, match="layout is 'odd'; expected one of kamada"):
        wiring.draw_graph("odd")


def test_wirings_bring_no_torch() -> None:
    code = "import sys, liquid_accel.ncps.wirings; print({'torch', 'networkx', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
