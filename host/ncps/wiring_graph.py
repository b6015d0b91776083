# SPDX-License-Identifier: BSD-2-Clause
"""A wiring as a graph of networkx, which comes with torch, and as a picture of it."""

from typing import Any

import numpy.typing as npt

COLOURS = {"inter": "tab:blue", "motor": "tab:orange", "sensory": "tab:olive"}
LAYOUTS = ("kamada", "circular", "random", "shell", "spring", "spectral", "spiral")


class Drawn:
    """What `Wiring` has besides its matrices, by the names and with the results of ncps."""

    units: int
    input_dim: Any
    adjacency_matrix: npt.NDArray[Any]
    sensory_adjacency_matrix: Any

    def get_type_of_neuron(self, neuron_id: int) -> str:
        raise NotImplementedError

    def get_graph(self, include_sensory_neurons: bool = True) -> Any:
        """A networkx.DiGraph: nodes neuron_I and sensory_I with their neuron_type, edges with their polarity."""
        if self.input_dim is None:
            raise ValueError("the number of inputs is unknown: call build() before the graph is asked for")
        import networkx

        graph = networkx.DiGraph()
        for neuron in range(self.units):
            graph.add_node(f"neuron_{neuron}", neuron_type=self.get_type_of_neuron(neuron))
        sides = [("neuron", self.adjacency_matrix)]
        if include_sensory_neurons:
            for index in range(self.input_dim):
                graph.add_node(f"sensory_{index}", neuron_type="sensory")
            sides.insert(0, ("sensory", self.sensory_adjacency_matrix))
        for kind, matrix in sides:
            for source, target in zip(*matrix.nonzero(), strict=True):
                polarity = "excitatory" if matrix[source, target] >= 0 else "inhibitory"
                graph.add_edge(f"{kind}_{source}", f"neuron_{target}", polarity=polarity)
        return graph

    def draw_graph(
        self,
        layout: str = "shell",
        neuron_colors: dict[str, str] | None = None,
        synapse_colors: dict[str, str] | str | None = None,
        draw_labels: bool = False,
    ) -> list[Any]:
        """Draw the wiring into the current axes of matplotlib; return handles for a legend."""
        if layout not in LAYOUTS:
            raise ValueError(f"layout is '{layout}'; expected one of {', '.join(LAYOUTS)}")
        import networkx
        from matplotlib.patches import Patch

        if isinstance(synapse_colors, str):
            synapse_colors = {"excitatory": synapse_colors, "inhibitory": synapse_colors}
        synapses = synapse_colors or {"excitatory": "tab:green", "inhibitory": "tab:red"}
        neurons = COLOURS | (neuron_colors or {})
        graph = self.get_graph()
        place = getattr(networkx, f"{'kamada_kawai' if layout == 'kamada' else layout}_layout")(graph)
        colours = [neurons.get(kind, "tab:blue") for _, kind in graph.nodes(data="neuron_type")]
        networkx.draw_networkx_nodes(graph, place, node_color=colours)
        edges = [synapses[polarity] for _, _, polarity in graph.edges(data="polarity")]
        networkx.draw_networkx_edges(graph, place, edge_color=edges)
        if draw_labels:
            networkx.draw_networkx_labels(graph, place)
        return [Patch(color=colour, label=f"{kind.capitalize()} neurons") for kind, colour in neurons.items()]
