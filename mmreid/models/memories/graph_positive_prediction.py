# Copyright (c) mmreid contributors. All rights reserved.
"""Learned neighbors: a graph network that has seen on the source which candidates are true."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.model import BaseModule

from mmreid.models.layers.candidate_graph import CandidateGraph
from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .exemplar_memory import ExemplarMemory
from .memory_similarity import MemorySimilarity
from .nearest_neighbors import nearest_others


@dataclass
class Candidates:
    """The slots nearest to each query, its own left out, and what the graph says of them; all of shape (N, K).

    Attributes:
        slots (torch.Tensor): Their numbers, the most similar first; int64.
        valid (torch.Tensor): Which were ever written; bool.
        logits (torch.Tensor): Of having the identity of the query.
        chosen (torch.Tensor): Which are taken for neighbors; bool.
    """

    slots: torch.Tensor
    valid: torch.Tensor
    logits: torch.Tensor
    chosen: torch.Tensor


@MODELS.register_module()
class GraphPositivePrediction(BaseModule):
    """Chooses as neighbors those of the k nearest slots that a graph network holds for the same identity.

    Graph-based positive prediction of ECN++ (Zhong et al., Learning to Adapt Invariance in Memory for Person
    Re-identification, TPAMI 2021). There is no official code, and of the paper only the idea was at hand: a graph
    network upon the memory, trained on the source. **Everything else here, the defaults included, is our reading.**

    A second memory keeps the features of the source images by the same rule as that of the target. The candidates of an
    image are its nearest slots without its own, in the memory of its own domain. The network learns on the source,
    whose identities are known, from the first step on; no gradient leaves it. Some source identities are held out,
    neither queries nor candidates of the loss, so that ``NeighborPrecisionHook`` can see what the network is worth on
    identities that it has not learned.

    Args:
        feat_dim (int): Size of a feature.
        k (int): Candidates of an image. Defaults to 100.
        channels (Sequence[int]): See :class:`CandidateGraph`. Defaults to (1024, 256, 256, 256).
        edge_temperature (float): See :class:`CandidateGraph`. Defaults to 0.05.
        self_loops (bool): See :class:`CandidateGraph`. Defaults to True.
        norm (bool): See :class:`CandidateGraph`. Defaults to False.
        threshold (float): mu: chosen is what has a higher probability. Defaults to 0.9.
        max_pos_weight (float): Positives weigh as much more as they are fewer, up to this. Defaults to 10.
        loss_weight (float): Of its loss. Defaults to 1.
        held_out_every (int): Every so many-th source identity is held out; 0 holds out none. Defaults to 10.
        memory (dict): Config of the source memory. Defaults to ``dict(type='mmreid.ExemplarMemory')``.
        init_cfg (dict, optional): Defaults to None.

    Raises:
        ValueError: If a setting makes no sense.

    Attributes:
        labels (torch.Tensor): Identity of each source slot, shape (S,), int64; counted again by each run.
        pending (tuple, optional): Features and slots of the last step, which wait for ``MemoryUpdateHook``.
    """

    def __init__(
        self,
        feat_dim: int,
        k: int = 100,
        channels: Sequence[int] = (1024, 256, 256, 256),
        edge_temperature: float = 0.05,
        self_loops: bool = True,
        norm: bool = False,
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
        if max_pos_weight <= 0 or loss_weight <= 0:
            raise ValueError(
                f'max_pos_weight={max_pos_weight} and loss_weight={loss_weight} of GraphPositivePrediction must be '
                'above 0'
            )
        if held_out_every < 0 or held_out_every == 1:
            raise ValueError(
                f'held_out_every={held_out_every} of GraphPositivePrediction must be 0, for none, or 2 at least'
            )
        if memory.get('sharded'):
            raise ValueError('memory.sharded=True of GraphPositivePrediction does not work; leave it out')
        self.k, self.threshold = k, threshold
        self.max_pos_weight, self.loss_weight, self.held_out_every = max_pos_weight, loss_weight, held_out_every
        self.memory = MODELS.build(dict(memory, feat_dim=feat_dim))
        self.graph = CandidateGraph(feat_dim, channels, edge_temperature, self_loops, norm)
        self.register_buffer('labels', None, persistent=False)
        self.pending: tuple[torch.Tensor, torch.Tensor] | None = None

    def allocate(self, labels: torch.Tensor, device: torch.device | str | None = None) -> None:
        """Makes a slot for each source image.

        Args:
            labels (torch.Tensor): Identity of each source image, shape (S,), int64.
            device (torch.device | str, optional): Where. Defaults to torch's default device.

        Raises:
            ValueError: If there is nothing to learn from them, or they are fewer than the candidates.
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
        """Refuses a memory that has fewer slots than candidates are wanted.

        Args:
            num_slots (int): Its slots.
            domain (str): Whose it is, for the message.

        Raises:
            ValueError: If there are too few.
        """
        if self.k > num_slots - 1:
            raise ValueError(
                f'GraphPositivePrediction wants k={self.k} candidates for each image, but the {domain} has '
                f'{num_slots} images, the image itself included; set model.head.neighbors.k to {num_slots - 1} or less'
            )

    def source_loss(self, feats: torch.Tensor, slots: torch.Tensor) -> dict[str, torch.Tensor]:
        """Learns from source images which of their candidates are true.

        Args:
            feats (torch.Tensor): L2-normalized features without dropout, shape (N, D); they get no gradient.
            slots (torch.Tensor): Which source image each row shows, shape (N,), int64.

        Returns:
            dict[str, torch.Tensor]: ``loss_neighbors``.
        """
        if self.labels is None:
            raise RuntimeError(
                "GraphPositivePrediction has no counts of source images; add dict(type='MemoryUpdateHook') to "
                'custom_hooks, which counts them'
            )
        found = self._judge(self.memory, feats, slots)
        positive = self.labels[found.slots] == self.labels[slots][:, None]
        learned = found.valid & ~self._is_held_out(slots)[:, None] & ~self._is_held_out(found.slots)
        return dict(loss_neighbors=self.loss_weight * self._loss(found.logits, positive, learned))

    @torch.no_grad()
    def choose(
        self, similarity: MemorySimilarity, own: torch.Tensor, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses the neighbors of target images.

        Args:
            similarity (MemorySimilarity): The batch against all slots; its memory counts.
            own (torch.Tensor): Own slot of each row, shape (N,), int64.
            feats (torch.Tensor): L2-normalized features without dropout, shape (N, D).

        Returns:
            tuple[torch.Tensor, torch.Tensor]: Slots and weights, both (N, k). The chosen share a weight of 1 equally,
            the others have none.
        """
        found = self.judge(similarity.memory, feats, own)
        return found.slots, found.chosen / found.chosen.sum(1, keepdim=True).clamp_min(1)

    @torch.no_grad()
    def judge(self, memory: ExemplarMemory, feats: torch.Tensor, own: torch.Tensor) -> Candidates:
        """Finds candidates and judges them, without learning from it.

        Args:
            memory (ExemplarMemory): Where to look.
            feats (torch.Tensor): L2-normalized features, shape (N, D).
            own (torch.Tensor): Own slot of each row, shape (N,), int64.

        Returns:
            Candidates: The k nearest slots without the own one.
        """
        training = self.graph.training
        self.graph.eval()  # norms keep the statistics that they have learned
        found = self._judge(memory, feats, own)
        self.graph.train(training)
        return found

    def held_out_slots(self) -> torch.Tensor:
        """Lists the source slots of identities that are held out, shape (H,), int64."""
        return self._is_held_out(torch.arange(len(self.labels), device=self.labels.device)).nonzero()[:, 0]

    def _judge(self, memory: ExemplarMemory, feats: torch.Tensor, own: torch.Tensor) -> Candidates:
        with full_precision(feats):
            with torch.no_grad():
                query = feats.detach().float()
                memory, own = memory.of_batch(query, own)
                slots = nearest_others(memory, query, own, self.k)
                rows = memory.rows(slots)
                valid = rows.any(-1)  # slots that were never written are zero
            logits = self.graph(query, rows, valid)
            return Candidates(slots, valid, logits, valid & (logits.detach().sigmoid() > self.threshold))

    def take_pending(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Hands over what the source memory is to be updated with, once.

        Returns:
            tuple[torch.Tensor, torch.Tensor], optional: Features (N, D) and slots (N,) of this rank's last step.
        """
        pending, self.pending = self.pending, None
        return pending

    def _loss(self, logits: torch.Tensor, positive: torch.Tensor, learned: torch.Tensor) -> torch.Tensor:
        """Binary cross entropy, the mean over the candidates of all ranks; zero where none is learned from yet."""
        counts = torch.stack([(learned & positive).sum(), (learned & ~positive).sum()]).float()
        all_reduce(counts, op='mean')  # DDP takes the mean of what is divided by this
        pos_weight = (counts[1] / counts[0].clamp_min(1e-6)).clamp_max(self.max_pos_weight)
        losses = F.binary_cross_entropy_with_logits(logits, positive.float(), pos_weight=pos_weight, reduction='none')
        return (losses * learned).sum() / counts.sum().clamp_min(1e-6)

    def _is_held_out(self, slots: torch.Tensor) -> torch.Tensor:
        if not self.held_out_every:
            return torch.zeros_like(slots, dtype=torch.bool)
        return self.labels[slots] % self.held_out_every == self.held_out_every - 1
