# Copyright (c) mmreid contributors. All rights reserved.
"""Seeds each epoch by its number."""

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import IterBasedTrainLoop

from mmreid.registry import HOOKS
from mmreid.utils.seed import set_epoch_seed


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds python, numpy and torch at the start of every epoch with f(seed, epoch, rank).

    An epoch then depends on the seed, the epoch and the weights, not on how many random numbers were drawn before: a
    resumed run draws the same augmentation, dropout and worker seeds as one that was never stopped. DataLoader workers
    follow through ``worker_init_fn=dict(type='epoch_worker_init_fn')``.

    ``IterBasedTrainLoop`` calls ``before_train_epoch`` once and creates its data iterator before any hook runs. There
    the hook seeds the main process at the start and again every ``iter_interval`` iterations, with the number of
    intervals in place of the epoch. A run resumed at a multiple of ``iter_interval`` continues the random stream of the
    main process (dropout, memory, mining), but not those of the workers, which belong to one endless epoch.

    Args:
        seed (int, optional): The seed. Defaults to None: the runner's, i.e. ``randomness=dict(seed=...)`` of the
            config; without one, it is random. Checkpoints hold it either way.
        iter_interval (int): Iterations between two seedings in an iteration-based loop. Defaults to 1000.

    Raises:
        ValueError: If ``iter_interval`` is not positive.
    """

    # Before every hook that may draw random numbers, e.g. graph sampling.
    priority = 'VERY_HIGH'

    def __init__(self, seed: int | None = None, iter_interval: int = 1000) -> None:
        if iter_interval < 1:
            raise ValueError(f'iter_interval={iter_interval} of EpochSeedHook must be at least 1')
        self.seed = seed
        self.iter_interval = iter_interval

    def before_train_epoch(self, runner) -> None:
        """Seeds for the next epoch."""
        by_iter = isinstance(runner.train_loop, IterBasedTrainLoop)
        self._seed(runner, runner.iter // self.iter_interval if by_iter else runner.epoch)

    def before_train_iter(self, runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Seeds every ``iter_interval`` iterations of an iteration-based loop."""
        if isinstance(runner.train_loop, IterBasedTrainLoop) and runner.iter % self.iter_interval == 0:
            self._seed(runner, runner.iter // self.iter_interval)

    def _seed(self, runner, position: int) -> None:
        set_epoch_seed(runner.seed if self.seed is None else self.seed, position, get_rank())
