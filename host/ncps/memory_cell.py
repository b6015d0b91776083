# SPDX-License-Identifier: BSD-2-Clause
"""The memory beside a liquid state (`mixed_memory`): an LSTM whose output is where the liquid cell starts from."""

import torch
from torch import Tensor, nn


class LSTMCell(nn.Module):
    """(h, c) from inputs (B, I) and states (h, c), each (B, H):

        i, g_i, g_f, g_o = W x + b + R h;  c' = c s(g_f + 1) + tanh(i) s(g_i);  h' = tanh(c') s(g_o)

    Source: M. Lechner and R. Hasani, "Learning long-term dependencies in irregularly-sampled time series", 2020.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.input_map = nn.Linear(input_size, 4 * hidden_size)
        self.recurrent_map = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the weights: Glorot for inputs, orthogonal for the recurrent matrix."""
        nn.init.xavier_uniform_(self.input_map.weight)
        nn.init.uniform_(self.input_map.bias, -0.1, 0.1)
        nn.init.orthogonal_(self.recurrent_map.weight)

    def forward(self, inputs: Tensor, states: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        output, cell = states
        i, g_i, g_f, g_o = (self.input_map(inputs) + self.recurrent_map(output)).chunk(4, 1)
        cell = cell * torch.sigmoid(g_f + 1.0) + torch.tanh(i) * torch.sigmoid(g_i)
        return torch.tanh(cell) * torch.sigmoid(g_o), cell
