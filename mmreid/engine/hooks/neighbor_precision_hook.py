# Copyright (c) mmreid contributors. All rights reserved.
"""Measures after an epoch how many of the neighbors in the memories are true."""

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmreid.evaluation.functional.neighbor_precision import rate_learned, rate_nearest
from mmreid.models.heads import MemoryHead
from mmreid.registry import HOOKS

from .memory_access import memory_head


@HOOKS.register_module()
class NeighborPrecisionHook(Hook):
    """Measures the neighbors of ECN and ECN++; the training does not use the results.

    Each memory slot stands for its image, and the identities of its neighbors are compared with its own. Learned
    neighbors are measured on the source identities that are held out of their training
    (``GraphPositivePrediction.held_out_every``). Measuring on the target needs its identities, which training never
    reads otherwise; ``target_labels`` allows it.

    The numbers go to the log and, as ``neighbors/<domain>_<name>``, to the visualizer; see
    :func:`~mmreid.evaluation.functional.neighbor_precision.rate_learned` for their names.

    Args:
        target_labels (bool): Measure on the target too, with its identities. For evaluation only. Defaults to False.
        k (int): Nearest neighbors to measure, and to compare learned ones with. Defaults to 5: ECN's 6 minus the own
            slot.
        num_queries (int): Maximum number of slots per memory whose neighbors are measured, spread evenly over it.
            Defaults to 1000.
        interval (int): Epochs between measurements. Defaults to 1.

    Raises:
        ValueError: If a number is not positive.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self, target_labels: bool = False, k: int = 5, num_queries: int = 1000, interval: int = 1) -> None:
        if min(k, num_queries, interval) < 1:
            raise ValueError(
                f'k={k}, num_queries={num_queries} and interval={interval} of NeighborPrecisionHook must be at least 1'
            )
        self.target_labels = target_labels
        self.k = k
        self.num_queries = num_queries
        self.interval = interval

    def before_train(self, runner) -> None:
        """Checks that there are neighbors, and identities to compare them with."""
        head = memory_head(runner)
        if 'target' not in head.memories() or head.neighbors is None:
            raise ValueError(
                'NeighborPrecisionHook found no memory with neighbors; it belongs to a head with an ExemplarMemory '
                'and invariance.neighbors'
            )
        if not self.target_labels and not self._is_held_out(head):
            runner.logger.warning(
                'NeighborPrecisionHook has nothing to measure: no source identities are held out from learned '
                'neighbors (held_out_every), and target_labels=False'
            )
        if self.target_labels:
            labels = _target_labels(runner)
            if len(labels.unique()) in (1, len(labels)):
                raise ValueError(
                    f'target_labels=True of NeighborPrecisionHook needs the identities of the target, but all of its '
                    f'{len(labels)} images have the same, or no two of them; leave target_labels out'
                )

    def after_train_epoch(self, runner) -> None:
        """Measures the neighbors, on all ranks alike."""
        if not self.every_n_epochs(runner, self.interval):
            return
        head = memory_head(runner)
        memories, neighbors = head.memories(), head.learned_neighbors
        if self._is_held_out(head):
            queries = self._spread(neighbors.held_out_slots())
            rates = rate_learned(neighbors, memories['source'], queries, neighbors.labels, self.k)
            self._report(runner, 'source', rates)
        if self.target_labels:
            labels = _target_labels(runner).to(next(runner.model.parameters()).device)
            queries = self._spread(torch.arange(len(labels), device=labels.device))
            if 'source' in memories:
                rates = rate_learned(neighbors, memories['target'], queries, labels, self.k)
            else:
                rates = rate_nearest(memories['target'], queries, labels, self.k)
            self._report(runner, 'target', rates)

    def _is_held_out(self, head: MemoryHead) -> bool:
        """Tells whether learned neighbors hold out source identities."""
        return head.learned_neighbors is not None and head.learned_neighbors.held_out_every > 0

    def _spread(self, slots: torch.Tensor) -> torch.Tensor:
        count = min(self.num_queries, len(slots))
        return slots[torch.arange(count, device=slots.device) * len(slots) // max(count, 1)]

    def _report(self, runner, domain: str, rates: dict[str, float]) -> None:
        if not is_main_process():
            return
        text = ', '.join(f'{name} {value:.1f}' for name, value in rates.items()) or 'nothing to measure yet'
        runner.logger.info(f'neighbors after epoch {runner.epoch + 1}, {domain}: {text}')
        numbers = {f'neighbors/{domain}_{name}': value for name, value in rates.items()}
        if numbers:
            runner.visualizer.add_scalars(numbers, step=runner.epoch + 1)


def _target_labels(runner) -> torch.Tensor:
    """Reads the identity of each target image; shape (S,), int64."""
    dataset = runner.train_dataloader.dataset
    return torch.from_numpy(dataset.gt_labels[dataset.images_of('target')])
