# SPDX-License-Identifier: BSD-2-Clause
"""Our wirings against those of the package ncps: every synapse and polarity alike, however often they are built."""

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
