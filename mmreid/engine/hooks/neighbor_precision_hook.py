# Copyright (c) mmreid contributors. All rights reserved.
"""Says after an epoch how many of the neighbors in the memories are true."""

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmreid.evaluation.functional.neighbor_precision import rate_learned, rate_nearest
from mmreid.registry import HOOKS

from .memory_access import device_of, labels_of, learned_neighbors, target_memory, unwrapped


@HOOKS.register_module()
class NeighborPrecisionHook(Hook):
    """Measures the neighbors of ECN and ECN++; nothing is learned from it.

    Slots of a memory are taken for images, and the identities of their neighbors are compared with their own. Learned
    neighbors are measured on the source identities that were held out from their learning
    (``GraphPositivePrediction.held_out_every``). On the target it needs identities, which nothing else of a training
    reads, so that is switched on by ``target_labels``.

    The numbers go to the log and, as ``neighbors/<domain>_<name>``, to the visualizer; see
    :func:`~mmreid.evaluation.functional.neighbor_precision.rate_learned` for their names.

    Args:
        target_labels (bool): Measure on the target too, with its identities. For evaluation only. Defaults to False.
        k (int): Nearest neighbors that are measured, and that learned ones are compared with. Defaults to 5: ECN's 6
            less the own one.
        num_queries (int): Slots of a memory whose neighbors are looked at, at most; spread over the memory. Defaults
            to 1000.
        interval (int): Epochs between two measurements. Defaults to 1.

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
        """Looks whether there is something to measure.

        Args:
            runner (Runner): The runner of the training process.

        Raises:
            ValueError: If there are no neighbors, or the target has no identities to compare them with.
        """
        neighbors = learned_neighbors(runner.model)
        if target_memory(runner.model) is None or unwrapped(runner.model).head.neighbors is None:
            raise ValueError(
                'NeighborPrecisionHook found no memory with neighbors; it belongs to a head with an ExemplarMemory '
                'and neighborhood=True'
            )
        if not self.target_labels and (neighbors is None or not neighbors.held_out_every):
            runner.logger.warning(
                'NeighborPrecisionHook has nothing to measure: no source identities are held out from learned '
                'neighbors (held_out_every), and target_labels=False'
            )
        if self.target_labels:
            labels = labels_of(runner.train_dataloader.dataset, 'target')
            if len(labels.unique()) in (1, len(labels)):
                raise ValueError(
                    f'target_labels=True of NeighborPrecisionHook needs the identities of the target, but all of its '
                    f'{len(labels)} images have the same, or no two of them; leave target_labels out'
                )

    def after_train_epoch(self, runner) -> None:
        """Measures, on all ranks alike."""
        if not self.every_n_epochs(runner, self.interval):
            return
        neighbors, memory = learned_neighbors(runner.model), target_memory(runner.model)
        if neighbors is not None and neighbors.held_out_every:
            queries = self._spread(neighbors.held_out_slots())
            rates = rate_learned(neighbors, neighbors.memory, queries, neighbors.labels, self.k)
            self._report(runner, 'source', rates)
        if self.target_labels:
            labels = labels_of(runner.train_dataloader.dataset, 'target').to(device_of(runner.model))
            queries = self._spread(torch.arange(len(labels), device=labels.device))
            if neighbors is None:
                rates = rate_nearest(memory, queries, labels, self.k)
            else:
                rates = rate_learned(neighbors, memory, queries, labels, self.k)
            self._report(runner, 'target', rates)

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
