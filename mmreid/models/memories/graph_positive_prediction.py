# Copyright (c) mmreid contributors. All rights reserved.
"""Learned neighbors: a graph network that learns on the source which candidates are true neighbors."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce

from mmreid.models.layers.candidate_graph import CandidateGraph
from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .exemplar_memory import ExemplarMemory
from .memory_similarity import MemorySimilarity
from .nearest_neighbors import nearest_others
from .neighbors import LearnedNeighbors

MOMENTUM = 0.1  # of the running mean of the weight of positives


@dataclass
class Candidates:
    """The slots nearest to each query, without its own, and the graph's prediction for each; all of shape (N, K).

    Attributes:
        slots (torch.Tensor): Indices of slots, most similar first; int64.
        valid (torch.Tensor): Whether a slot was ever written; bool.
        logits (torch.Tensor): Logits of the probability of having the identity of the query.
        chosen (torch.Tensor): Whether a slot is chosen as a neighbor; bool.
    """

    slots: torch.Tensor
    valid: torch.Tensor
    logits: torch.Tensor
    chosen: torch.Tensor


@MODELS.register_module()
class GraphPositivePrediction(LearnedNeighbors):
    """Chooses as neighbors those of the k nearest slots that a graph network predicts to have the same identity.

    Graph-based positive prediction of ECN++ (Zhong et al., Learning to Adapt Invariance in Memory for Person
    Re-identification, TPAMI 2021). There is no official code, and only the idea of the paper was at hand: a graph
    network on top of the memory, trained on the source. **Everything else here, defaults included, is our reading.**

    A second memory keeps the features of the source images, updated as the target's is. The candidates of an image are
    the nearest slots in the memory of its own domain, without its own slot. The network learns on the source, where
    identities are known, from the first step on, and passes no gradient to the features. Positives are few, so they
    weigh more in its loss, which raises the odds that it learns by that weight; the weight is taken out again before
    ``threshold`` is applied, which is therefore one on the true probability. Some source identities are held out of
    the loss, so that ``NeighborPrecisionHook`` can measure it on identities that it has not learned.

    Args:
        feat_dim (int): Size of a feature.
        k (int): Candidates of an image. Defaults to 100.
        channels (Sequence[int]): See :class:`CandidateGraph`. Defaults to (1024, 256, 256, 256).
        edge_temperature (float): See :class:`CandidateGraph`. Defaults to 0.05.
        self_loops (bool): See :class:`CandidateGraph`. Defaults to True.
        norm (bool): See :class:`CandidateGraph`. Defaults to True.
        threshold (float): mu: slots with a higher probability are chosen. Defaults to 0.9.
        max_pos_weight (float): Upper bound on the weight of positives, which is the number of negatives per positive;
            its inverse is the lower bound. Defaults to 10.
        loss_weight (float): Weight of its loss. Defaults to 1.
        held_out_every (int): Holds out one of this many source identities; 0 holds out none. Defaults to 10.
        memory (dict): Config of the source memory. Defaults to ``dict(type='mmreid.ExemplarMemory')``.
        init_cfg (dict, optional): Defaults to None.

    Raises:
        ValueError: If an argument is out of range.

    Attributes:
        labels (torch.Tensor): Identity of each source slot, shape (S,), int64; read anew by each run.
        log_pos_weight (torch.Tensor): Running mean of the logarithm of the weight of positives, a scalar.
    """

    def __init__(
        self,
        feat_dim: int,
        k: int = 100,
        channels: Sequence[int] = (1024, 256, 256, 256),
        edge_temperature: float = 0.05,
        self_loops: bool = True,
        norm: bool = True,
        threshold: float = 0.9,
        max_pos_weight: float = 10.0,
        loss_weight: float = 1.0,
        held_out_every: int = 10,
        memory: dict = dict(type='mmreid.ExemplarMemory'),  # noqa: B006
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if k < 1:
            raise ValueError(f'k={k} of GraphPositivePrediction must be at least 1')
        if not 0 <= threshold < 1:
            raise ValueError(f'threshold={threshold} of GraphPositivePrediction is a probability, in [0, 1)')
        if max_pos_weight < 1 or loss_weight <= 0:
            raise ValueError(
                f'max_pos_weight={max_pos_weight} of GraphPositivePrediction must be at least 1, and '
                f'loss_weight={loss_weight} above 0'
            )
        if held_out_every < 0 or held_out_every == 1:
            raise ValueError(
                f'held_out_every={held_out_every} of GraphPositivePrediction must be 0, for none, or 2 or more'
            )
        if memory.get('sharded'):
            raise ValueError('memory.sharded=True of GraphPositivePrediction does not work; leave it out')
        self.k, self.threshold = k, threshold
        self.max_pos_weight, self.loss_weight, self.held_out_every = max_pos_weight, loss_weight, held_out_every
        self.memory = MODELS.build(dict(memory, feat_dim=feat_dim))
        self.graph = CandidateGraph(feat_dim, channels, edge_temperature, self_loops, norm)
        self.register_buffer('labels', None, persistent=False)
        self.register_buffer('log_pos_weight', torch.zeros(()))

    def allocate(self, labels: torch.Tensor, device: torch.device | str | None = None) -> None:
        """Makes a slot for each source image.

        Args:
            labels (torch.Tensor): Identity of each source image, shape (S,), int64.
            device (torch.device | str, optional): Where to keep the slots. Defaults to torch's default device.

        Raises:
            ValueError: If no identity has two images, or there are fewer images than candidates.
        """
        counts = labels.unique(return_counts=True)[1]
        if not len(labels) or counts.max() < 2:
            raise ValueError(
                f'GraphPositivePrediction learns from source images of the same identity, but none of the '
                f'{len(counts)} identities in {len(labels)} source images has two; use a labeled source'
            )
        self.check_size(len(labels), 'source')
        self.labels = labels.to(device)
        if self.memory.features is None:
            self.memory.allocate(len(labels), device)

    def check_size(self, num_slots: int, domain: str) -> None:
        """Raises a ValueError if the memory of a domain has too few slots for k candidates."""
        if self.k > num_slots - 1:
            raise ValueError(
                f'GraphPositivePrediction needs k={self.k} candidates for each image, but the {domain} has '
                f'{num_slots} images, the image itself included; set model.head.invariance.neighbors.k to '
                f'{num_slots - 1} or less'
            )

    def source_loss(self, feats: torch.Tensor, slots: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns ``loss_neighbors`` of source features (N, D), which get no gradient, and their slots (N,)."""
        if self.labels is None:
            raise RuntimeError(
                "GraphPositivePrediction has no counts of source images; add dict(type='MemoryUpdateHook') to "
                'custom_hooks, which counts them'
            )
        candidates, valid, logits = self._run_graph(self.memory, feats, slots)
        positive = self.labels[candidates] == self.labels[slots][:, None]
        learned = valid & ~self._is_held_out(slots)[:, None] & ~self._is_held_out(candidates)
        return dict(loss_neighbors=self.loss_weight * self._loss(logits, positive, learned))

    @torch.no_grad()
    def choose(
        self, similarity: MemorySimilarity, own: torch.Tensor, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the k candidates and their weights, both (N, k): 1 in all for the chosen ones, 0 for the others."""
        found = self.predict(similarity.memory, feats, own)
        return found.slots, found.chosen / found.chosen.sum(1, keepdim=True).clamp_min(1)

    @torch.no_grad()
    def predict(self, memory: ExemplarMemory, feats: torch.Tensor, own: torch.Tensor) -> Candidates:
        """Predicts, without learning, which slots of a memory are neighbors of L2-normalized features (N, D)."""
        training = self.graph.training
        self.graph.eval()  # so that norms keep the statistics of the source
        slots, valid, logits = self._run_graph(memory, feats, own)
        self.graph.train(training)
        logits = logits - self.log_pos_weight
        return Candidates(slots, valid, logits, valid & (logits.sigmoid() > self.threshold))

    def held_out_slots(self) -> torch.Tensor:
        """Returns the source slots of identities that are held out, shape (H,), int64."""
        return self._is_held_out(torch.arange(len(self.labels), device=self.labels.device)).nonzero()[:, 0]

    def _run_graph(
        self, memory: ExemplarMemory, feats: torch.Tensor, own: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Finds candidates, and returns ``slots`` and ``valid`` of :class:`Candidates`, and what the graph says."""
        with full_precision(feats):
            with torch.no_grad():
                query = feats.detach().float()
                memory, own = memory.of_batch(query, own)
                slots = nearest_others(memory, query, own, self.k)
                rows = memory.rows(slots)
                valid = rows.any(-1)  # slots that were never written are zero
            return slots, valid, self.graph(query, rows, valid)

    def _loss(self, logits: torch.Tensor, positive: torch.Tensor, learned: torch.Tensor) -> torch.Tensor:
        """Computes the binary cross entropy, averaged over the candidates of all ranks; zero without candidates."""
        counts = torch.stack([(learned & positive).sum(), (learned & ~positive).sum()]).float()
        all_reduce(counts, op='mean')  # the mean, because DDP averages the gradients
        pos_weight = (counts[1] / counts[0].clamp_min(1e-6)).clamp(1 / self.max_pos_weight, self.max_pos_weight)
        if self.training:
            self._follow(pos_weight.log(), counts.sum() > 0)
        losses = F.binary_cross_entropy_with_logits(logits, positive.float(), pos_weight=pos_weight, reduction='none')
        return (losses * learned).sum() / counts.sum().clamp_min(1e-6)

    @torch.no_grad()
    def _follow(self, log_pos_weight: torch.Tensor, has_candidates: torch.Tensor) -> None:
        """Moves the running mean, as that of a batch norm, toward the weight of a step."""
        moved = self.log_pos_weight.lerp(log_pos_weight, MOMENTUM)
        self.log_pos_weight.copy_(torch.where(has_candidates, moved, self.log_pos_weight))

    def _is_held_out(self, slots: torch.Tensor) -> torch.Tensor:
        if not self.held_out_every:
            return torch.zeros_like(slots, dtype=torch.bool)
        return self.labels[slots] % self.held_out_every == self.held_out_every - 1
