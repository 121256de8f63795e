# Copyright (c) mmreid contributors. All rights reserved.
"""A graph network over the candidates of a query, which says of each whether it shows the same identity."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import nn

#: Weighs nothing after a softmax, and leaves a number where a row has nothing else.
_NEVER = -1e4


class GraphLayer(nn.Module):
    """``ReLU([X, A X] W + b)``: every node from itself and from the mean of the nodes around it.

    Args:
        in_channels (int): Size of a node.
        out_channels (int): Size of a node behind the layer.
        norm (bool): Batch norm over all nodes, before the ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: bool) -> None:
        super().__init__()
        # Two halves of W: the second is applied before A, which is the same and has less to add up.
        self.own = nn.Linear(in_channels, out_channels)
        self.around = nn.Linear(in_channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels) if norm else nn.Identity()

    def forward(self, nodes: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        """Maps nodes (N, K, C) with rows of weights (N, K, K) to (N, K, out_channels)."""
        mixed = self.own(nodes) + adjacency @ self.around(nodes)
        return F.relu(self.norm(mixed.flatten(0, 1)).view_as(mixed))


class CandidateGraph(BaseModule):
    """Graph convolutions over the candidates of each query, and a logit for each candidate.

    A node is the candidate minus the query, an edge the softmax of how like two candidates are. This follows linkage
    prediction (Wang et al., Linkage Based Face Clustering via Graph Convolution Network, CVPR 2019).

    Args:
        in_channels (int): Size of a feature.
        channels (Sequence[int]): Width of each graph layer. Defaults to (1024, 256, 256, 256).
        edge_temperature (float): Inner products of candidates are divided by it. Defaults to 0.05.
        self_loops (bool): Whether a candidate is among those around itself. Defaults to True.
        norm (bool): Batch norm in each layer. Defaults to False.
        init_cfg (dict, optional): Defaults to None: He's weights for the linear layers.

    Raises:
        ValueError: If there is no layer, or ``edge_temperature`` is not above 0.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (1024, 256, 256, 256),
        edge_temperature: float = 0.05,
        self_loops: bool = True,
        norm: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not channels or min(channels) < 1:
            raise ValueError(f'channels={channels!r} must list the width of each graph layer, e.g. (1024, 256)')
        if edge_temperature <= 0:
            raise ValueError(f'edge_temperature={edge_temperature} must be above 0')
        self.edge_temperature = edge_temperature
        self.self_loops = self_loops
        widths = [in_channels, *channels]
        self.layers = nn.ModuleList(GraphLayer(*pair, norm) for pair in zip(widths[:-1], widths[1:], strict=True))
        self.classifier = nn.Sequential(
            nn.Linear(widths[-1], widths[-1]), nn.PReLU(widths[-1]), nn.Linear(widths[-1], 1)
        )

    def init_weights(self) -> None:
        """Initializes the linear layers (He), and then what ``init_cfg`` names."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        super().init_weights()

    def forward(self, query: torch.Tensor, candidates: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Judges candidates.

        Args:
            query (torch.Tensor): L2-normalized features, shape (N, D), float32.
            candidates (torch.Tensor): Features of the candidates of each, shape (N, K, D), float32.
            valid (torch.Tensor): Which of them exist, shape (N, K), bool. The others have no edge.

        Returns:
            torch.Tensor: Logits, shape (N, K).
        """
        adjacency = self._adjacency(candidates, valid)
        nodes = candidates - query[:, None]
        for layer in self.layers:
            nodes = layer(nodes, adjacency)
        return self.classifier(nodes.flatten(0, 1)).view(valid.shape)

    def _adjacency(self, candidates: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        likeness = candidates @ candidates.transpose(1, 2) / self.edge_temperature
        if not self.self_loops:
            likeness.diagonal(dim1=1, dim2=2).fill_(_NEVER)
        return likeness.masked_fill(~valid[:, None], _NEVER).softmax(-1)
