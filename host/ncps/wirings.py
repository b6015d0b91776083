# SPDX-License-Identifier: BSD-2-Clause
"""Which neuron has a synapse to which, and its polarity: the wirings of ncps 1.0, drawn number for number alike.

`adjacency_matrix` (units, units) and `sensory_adjacency_matrix` (input_dim, units) hold -1, 0 or 1 at [from, to]. The
second is there once `build` was told the number of inputs. Source: M. Lechner et al., "Neural circuit policies
enabling auditable autonomy", Nature Machine Intelligence 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.ncps.wiring_graph import Drawn

EITHER = (-1, 1)
MOSTLY_EXCITATORY = (-1, 1, 1)


class Wiring(Drawn):
    """`units` neurons without a synapse. Neurons 0 to output_dim - 1 are the motor neurons, which are put out."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.adjacency_matrix: npt.NDArray[Any] = np.zeros((units, units), np.int32)
        self.sensory_adjacency_matrix: Any = None
        self.input_dim: Any = None
        self.output_dim: Any = None
        self._arguments: dict[str, Any] | None = None  # of a wiring that is drawn

    @property
    def num_layers(self) -> int:
        return 1

    def get_neurons_of_layer(self, layer_id: int) -> list[int]:
        """Neurons of a layer, the one that sees the inputs first."""
        return list(range(self.units))

    def get_type_of_neuron(self, neuron_id: int) -> str:
        """ "motor", "command" or "inter"."""
        return "motor" if neuron_id < self.output_dim else "inter"

    def is_built(self) -> bool:
        """Whether the number of inputs is known."""
        return self.input_dim is not None

    def build(self, input_dim: int) -> None:
        """Take `input_dim` inputs; `ValueError` where it was built for another number."""
        if self.input_dim is not None and self.input_dim != input_dim:
            raise ValueError(f"the wiring was built for {self.input_dim} inputs, not {input_dim}")
        if self.input_dim is None:
            self.set_input_dim(input_dim)

    def set_input_dim(self, input_dim: int) -> None:
        self.input_dim = input_dim
        self.sensory_adjacency_matrix = np.zeros((input_dim, self.units), np.int32)

    def set_output_dim(self, output_dim: int) -> None:
        self.output_dim = output_dim

    def erev_initializer(self, shape: Any = None, dtype: Any = None) -> npt.NDArray[Any]:
        """Reversal potentials at birth: the polarities."""
        return self.adjacency_matrix.copy()

    def sensory_erev_initializer(self, shape: Any = None, dtype: Any = None) -> npt.NDArray[Any]:
        copied: npt.NDArray[Any] = self.sensory_adjacency_matrix.copy()
        return copied

    def add_synapse(self, src: int, dest: int, polarity: int) -> None:
        """Between two neurons; `ValueError` for one that is not there, or a polarity other than -1 and 1."""
        self._check(src, dest, polarity, self.units)
        self.adjacency_matrix[src, dest] = polarity

    def add_sensory_synapse(self, src: int, dest: int, polarity: int) -> None:
        """From an input to a neuron; `ValueError` as for `add_synapse`, and before `build`."""
        if self.input_dim is None:
            raise ValueError("the number of inputs is unknown: call build() before synapses from them are added")
        self._check(src, dest, polarity, self.input_dim)
        self.sensory_adjacency_matrix[src, dest] = polarity

    def _check(self, src: int, dest: int, polarity: int, sources: int) -> None:
        if not 0 <= src < sources:
            raise ValueError(f"a synapse comes from {src}; expected 0 to {sources - 1}")
        if not 0 <= dest < self.units:
            raise ValueError(f"a synapse leads to {dest}; expected 0 to {self.units - 1}")
        if polarity not in EITHER:
            raise ValueError(f"polarity is {polarity}; expected -1 or 1")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make it again; of a `Wiring` whose synapses were added one by one, its matrices."""
        if self._arguments is not None:
            return dict(self._arguments)
        sensory = self.sensory_adjacency_matrix
        return {
            "units": self.units, "adjacency_matrix": self.adjacency_matrix.tolist(),
            "sensory_adjacency_matrix": None if sensory is None else sensory.tolist(),
            "input_dim": self.input_dim, "output_dim": self.output_dim,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Wiring:
        """The wiring of a `get_config`."""
        if cls is not Wiring:
            return cls(**config)
        wiring = Wiring(config["units"])
        for name in ("adjacency_matrix", "sensory_adjacency_matrix"):
            if config[name] is not None:
                setattr(wiring, name, np.array(config[name]))
        wiring.input_dim, wiring.output_dim = config["input_dim"], config["output_dim"]
        return wiring

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons."""
        return int(np.abs(self.adjacency_matrix).sum())

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from inputs to neurons."""
        return int(np.abs(self.sensory_adjacency_matrix).sum())


class FullyConnected(Wiring):
    """Every pair of neurons has a synapse, a neuron with itself only with `self_connections`; two in three excite."""

    def __init__(
        self, units: int, output_dim: int | None = None, erev_init_seed: int = 1111, self_connections: bool = True
    ) -> None:
        super().__init__(units)
        self.self_connections = self_connections
        self.set_output_dim(units if output_dim is None else output_dim)
        self._arguments = {
            "units": units, "output_dim": self.output_dim, "erev_init_seed": erev_init_seed,
            "self_connections": self_connections,
        }  # fmt: skip
        self._rng = np.random.default_rng(erev_init_seed)
        for src in range(units):
            for dest in range(units):
                if src != dest or self_connections:
                    self.add_synapse(src, dest, self._rng.choice(MOSTLY_EXCITATORY))

    def build(self, input_dim: int) -> None:
        super().build(input_dim)
        for src in range(input_dim):
            for dest in range(self.units):
                self.add_sensory_synapse(src, dest, self._rng.choice(MOSTLY_EXCITATORY))


class Random(Wiring):
    """A fraction 1 - `sparsity_level` of all pairs has a synapse."""

    def __init__(
        self, units: int, output_dim: int | None = None, sparsity_level: float = 0.0, random_seed: int = 1111
    ) -> None:
        super().__init__(units)
        if not 0.0 <= sparsity_level < 1.0:
            raise ValueError(f"sparsity_level is {sparsity_level}; expected at least 0 and below 1")
        self.set_output_dim(units if output_dim is None else output_dim)
        self.sparsity_level = sparsity_level
        self._arguments = {
            "units": units, "output_dim": self.output_dim, "sparsity_level": sparsity_level,
            "random_seed": random_seed,
        }  # fmt: skip
        self._rng = np.random.default_rng(random_seed)
        for src, dest in self._pairs(units):
            self.add_synapse(src, dest, self._rng.choice(MOSTLY_EXCITATORY))

    def _pairs(self, sources: int) -> npt.NDArray[Any]:
        every = [(src, dest) for src in range(sources) for dest in range(self.units)]
        count = int(np.round(sources * self.units * (1 - self.sparsity_level)))
        return self._rng.choice(every, size=count, replace=False)

    def build(self, input_dim: int) -> None:
        super().build(input_dim)
        for src, dest in self._pairs(input_dim):
            self._rng.choice(MOSTLY_EXCITATORY)  # ncps draws twice, and the second draw stands
            self.add_sensory_synapse(src, dest, self._rng.choice(MOSTLY_EXCITATORY))


class NCP(Wiring):
    """Inputs to inter neurons to command neurons, which see each other, to motor neurons: sparse in every layer.

    Each input and inter neuron has `sensory_fanout` and `inter_fanout` synapses, each motor neuron `motor_fanin`; a
    neuron that none reached gets as many as its fellows have on average, at least one. Neurons count from motor over
    command to inter.
    """

    def __init__(
        self, inter_neurons: int, command_neurons: int, motor_neurons: int, sensory_fanout: int, inter_fanout: int,
        recurrent_command_synapses: int, motor_fanin: int, seed: int = 22222,
    ) -> None:  # fmt: skip
        super().__init__(inter_neurons + command_neurons + motor_neurons)
        self.set_output_dim(motor_neurons)
        for name, value, most in (
            ("motor_fanin", motor_fanin, command_neurons), ("sensory_fanout", sensory_fanout, inter_neurons),
            ("inter_fanout", inter_fanout, command_neurons),
        ):  # fmt: skip
            if value > most:
                raise ValueError(f"{name} is {value}, of {most} neurons; expected at most {most}")
        self._arguments = {
            "inter_neurons": inter_neurons, "command_neurons": command_neurons, "motor_neurons": motor_neurons,
            "sensory_fanout": sensory_fanout, "inter_fanout": inter_fanout,
            "recurrent_command_synapses": recurrent_command_synapses, "motor_fanin": motor_fanin, "seed": seed,
        }  # fmt: skip
        self._rng = np.random.RandomState(seed)
        self._motor = list(range(motor_neurons))
        self._command = list(range(motor_neurons, motor_neurons + command_neurons))
        self._inter = list(range(motor_neurons + command_neurons, self.units))
        self._sensory_fanout, self._inter_fanout, self._motor_fanin = sensory_fanout, inter_fanout, motor_fanin
        self._recurrent_command_synapses = recurrent_command_synapses

    @property
    def num_layers(self) -> int:
        return 3

    def get_neurons_of_layer(self, layer_id: int) -> list[int]:
        if not 0 <= layer_id < 3:
            raise ValueError(f"layer is {layer_id}; expected 0 to 2")
        return (self._inter, self._command, self._motor)[layer_id]

    def get_type_of_neuron(self, neuron_id: int) -> str:
        if neuron_id < len(self._motor):
            return "motor"
        return "command" if neuron_id < len(self._motor) + len(self._command) else "inter"

    def build(self, input_dim: int) -> None:
        super().build(input_dim)
        inputs = list(range(input_dim))
        self._spread(inputs, self._inter, self._sensory_fanout, sensory=True)
        self._spread(self._inter, self._command, self._inter_fanout)
        for _ in range(self._recurrent_command_synapses):
            src, dest = self._rng.choice(self._command), self._rng.choice(self._command)
            self.add_synapse(src, dest, self._rng.choice(EITHER))
        self._spread(self._motor, self._command, self._motor_fanin, backwards=True)

    def _spread(
        self, near: Sequence[int], far: Sequence[int], fan: int, *, sensory: bool = False, backwards: bool = False
    ) -> None:
        """`fan` synapses from each of `near` to some of `far` (or from these), then some for those left out."""
        reached: set[int] = set()
        add = self.add_sensory_synapse if sensory else self.add_synapse
        for one in near:
            for other in self._rng.choice(far, size=fan, replace=False):
                reached.add(int(other))
                src, dest = (other, one) if backwards else (one, other)
                add(src, dest, self._rng.choice(EITHER))
        mean = int(np.clip(int(len(near) * fan / len(far)), 1, len(near)))
        for other in far:
            if other not in reached:
                for one in self._rng.choice(near, size=mean, replace=False):
                    src, dest = (other, one) if backwards else (one, other)
                    add(src, dest, self._rng.choice(EITHER))


class AutoNCP(NCP):
    """An `NCP` of `units` neurons, `output_size` of them motor, its layers and fans from `sparsity_level`, 0.1 to 1."""

    def __init__(self, units: int, output_size: int, sparsity_level: float = 0.5, seed: int = 22222) -> None:
        if output_size >= units - 2:
            raise ValueError(f"output_size is {output_size}; expected less than units - 2 = {units - 2}")
        if not 0.1 <= sparsity_level <= 1.0:
            raise ValueError(f"sparsity_level is {sparsity_level}; expected 0.1 to 1")
        density = 1.0 - sparsity_level
        command = max(int(0.4 * (units - output_size)), 1)
        inter = units - output_size - command

        def fan(count: float) -> int:
            return max(int(count), 1)

        super().__init__(
            inter, command, output_size, fan(inter * density), fan(command * density), fan(command * density * 2),
            fan(command * density), seed=seed,
        )  # fmt: skip
        self._arguments = {
            "units": units, "output_size": output_size, "sparsity_level": sparsity_level, "seed": seed,
        }  # fmt: skip
