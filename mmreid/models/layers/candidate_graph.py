# Copyright (c) mmreid contributors. All rights reserved.
"""A graph network over the candidates of a query that predicts which of them show the same identity."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import nn

#: Becomes 0 in a softmax; unlike -inf, a row of nothing else does not become NaN.
_NEVER = -1e4


class GraphLayer(nn.Module):
    """``ReLU([X, A X] W + b)``: computes every node from itself and from the weighted mean of its neighbors.

    Args:
        in_channels (int): Size of an input node.
        out_channels (int): Size of an output node.
        norm (bool): Apply batch norm over all nodes before the ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: bool) -> None:
        super().__init__()
        # Two halves of W. The second is applied before A: the same result with less to compute.
        self.own = nn.Linear(in_channels, out_channels)
        self.around = nn.Linear(in_channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels) if norm else nn.Identity()

    def forward(self, nodes: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        """Maps nodes (N, K, C) with an adjacency (N, K, K), whose rows are weights, to (N, K, out_channels)."""
        mixed = self.own(nodes) + adjacency @ self.around(nodes)
        return F.relu(self.norm(mixed.flatten(0, 1)).view_as(mixed))


class CandidateGraph(BaseModule):
    """Graph convolutions over the candidates of each query, with a logit for each candidate.

    A node is the candidate minus the query; edges are a softmax of the similarity of two candidates. This follows
    linkage prediction (Wang et al., Linkage Based Face Clustering via Graph Convolution Network, CVPR 2019).

    Args:
        in_channels (int): Size of a feature.
        channels (Sequence[int]): Width of each graph layer. Defaults to (1024, 256, 256, 256).
        edge_temperature (float): Divisor of the inner products of candidates. Defaults to 0.05.
        self_loops (bool): Whether a candidate is its own neighbor. Defaults to True.
        norm (bool): Use batch norm in each layer. Defaults to True.
        init_cfg (dict, optional): Defaults to None: He initialization of the linear layers.

    Raises:
        ValueError: If there is no layer, or ``edge_temperature`` is not above 0.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (1024, 256, 256, 256),
        edge_temperature: float = 0.05,
        self_loops: bool = True,
        norm: bool = True,
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
        """Initializes the linear layers (He), then applies ``init_cfg``."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        super().init_weights()

    def forward(self, query: torch.Tensor, candidates: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Returns logits (N, K) for candidates (N, K, D) of queries (N, D), both L2-normalized.

        ``valid``, (N, K) bool, tells which candidates exist; the others have no edges.
        """
        adjacency = self._adjacency(candidates, valid)
        nodes = candidates - query[:, None]
        for layer in self.layers:
            nodes = layer(nodes, adjacency)
        return self.classifier(nodes.flatten(0, 1)).view(valid.shape)

    def _adjacency(self, candidates: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        similarity = candidates @ candidates.transpose(1, 2) / self.edge_temperature
        if not self.self_loops:
            similarity.diagonal(dim1=1, dim2=2).fill_(_NEVER)
        return similarity.masked_fill(~valid[:, None], _NEVER).softmax(-1)
