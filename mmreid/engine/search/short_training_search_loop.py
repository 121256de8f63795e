# Copyright (c) mmreid contributors. All rights reserved.
"""Searches an architecture by training candidates for a short time and judging them on other people."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.dist import all_gather_object, get_dist_info, is_main_process
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmreid.engine.checkpoints.run_description import describe_run
from mmreid.models.reid import CrossModalReID
from mmreid.registry import LOOPS
from mmreid.utils.arch_io import Architecture
from mmreid.utils.dist import host_group
from mmreid.utils.unwrap_model import unwrap_model

from .arch_space import Arch, ArchSpace
from .gain_model import Score
from .proposals import archs_of_round
from .result_files import write_result
from .score_file import ScoreFile
from .search_checks import check_identity_splits
from .search_report import candidates_of, choose, draw_candidates, gain_table
from .search_rounds import Round, most_epochs, read_rounds
from .short_training import short_config, start_of, train_and_judge
from .side_process import SideProcess

Job = tuple[Arch, int, int]  # architecture, epochs, fold


@LOOPS.register_module()
class ShortTrainingSearchLoop(EpochBasedTrainLoop):
    """Trains candidates for a short time, judges them on held-out identities, and gives more time to the best.

    The config is that of the training to search for, with this loop in the place of its own, and with the two parts of
    an ``IdentitySplit`` as training and validation set. Each short training is that training with its schedules
    shortened, from the same start and with the same seed. Its score is the mAP on the held-out identities, averaged
    over the directions that the evaluator has. Each rank trains other candidates; the result does not depend on how
    many ranks there are.

    After each round, gains over all shared are estimated from all scores so far (:mod:`.gain_model`), and logged and
    drawn (``candidates.png``). At the end, rank 0 writes the best architecture into the work dir: ``arch.json``,
    ``arch_config.py``, ``arch.png`` and, for a plain ResNet, the official ``config.cfg``. If no gain is clear, all is
    shared.

    ``candidates.jsonl`` in the work dir has a line for each finished training. If the search is killed, the same
    command does the rest.

    Args:
        runner (Runner): The runner. Its model is a :class:`CrossModalReID`.
        dataloader (DataLoader | dict): ``train_dataloader`` of the config.
        max_epochs (int): Epochs of the training to search for.
        rounds (Sequence[dict]): What each round trains: ``epochs`` and ``folds``, and ``keep``, how many of the best,
            or ``new``, how many others, all shared aside, which every round trains; see :class:`.search_rounds.Round`.
        blocks (str | Mapping[str, str | Sequence[str]]): What is split or shared as a whole: ``'stage'``, ``'block'``,
            ``'norm'``, or blocks by name, see :class:`.arch_space.ArchSpace`. Norms of no block keep the state that
            ``model.arch`` gives them. Defaults to ``'stage'``.
        max_trainings (float): What the search may cost, in trainings of ``max_epochs``. Defaults to 3.
        min_errors (float): The best candidate is chosen if its estimated gain over all shared is more than this many
            standard errors. Defaults to 2.5, with which 4 of 100 simulated searches among 32 equally good architectures
            still split something in the rounds of the shipped configs (``benchmarks/cmnas/search_simulation.py``).
        first (Sequence[str | Mapping[str, str]]): Architectures of the first round, as ``model.arch`` writes them. All
            shared is always one. Defaults to ().
        exclude (Sequence[str | Mapping[str, str]]): Architectures that are not tried. Defaults to ().
        **kwargs: See :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: If an argument is out of range, or the rounds would cost more than ``max_trainings``.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        rounds: Sequence[dict],
        blocks: str | Mapping[str, str | Sequence[str]] = 'stage',
        max_trainings: float = 3,
        min_errors: float = 2.5,
        first: Sequence[str | Mapping[str, str]] = (),
        exclude: Sequence[str | Mapping[str, str]] = (),
        **kwargs,
    ) -> None:
        check_identity_splits(runner.cfg)
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        model = unwrap_model(runner.model)
        if not isinstance(model, CrossModalReID) or model.mutator is not None:
            raise ValueError(
                'ShortTrainingSearchLoop trains a CrossModalReID without a mutator, but the model is a '
                f'{type(model).__name__}{" with one" if isinstance(model, CrossModalReID) else ""}; take '
                "configs/cmnas/cmnas-search_* as an example, or ArchSearchLoop for a model with dict(type='BNMutator')"
            )
        self.space = ArchSpace(blocks, model.arch)
        self.first = [self.space.all_shared(), *map(self.space.read, first)]
        self.excluded = set(map(self.space.read, exclude))
        if self.first[0] in self.excluded:
            raise ValueError(
                'exclude of ShortTrainingSearchLoop has the architecture that shares all, with which the others are '
                'compared; take it out'
            )
        if min_errors < 0:
            raise ValueError(f'min_errors={min_errors} of ShortTrainingSearchLoop must be at least 0')
        self.rounds = read_rounds(rounds, self.space, max_epochs, max_trainings)
        self.min_errors = min_errors
        self.scores: list[Score] = []

    def run(self) -> nn.Module:
        """Searches, and writes the result; the model stays as it is."""
        runner, folder = self.runner, Path(self.runner.work_dir)
        self._file = ScoreFile(folder / 'candidates.jsonl', self._settings())
        most = most_epochs(self.rounds, self.space.size - len(self.excluded))
        runner.logger.info(
            f'searching among {self.space.size - len(self.excluded)} architectures of {len(self.space.blocks)} blocks '
            f'in {len(self.rounds)} rounds, with at most {most} epochs, {most / self._max_epochs:.2f} trainings of '
            f'{self._max_epochs}'
        )
        self._group = host_group(timedelta(days=30))  # a rank without a job waits for the trainings of the others
        with SideProcess(train_and_judge) as self._train:
            for number, entry in enumerate(self.rounds, 1):
                self._run_round(entry)
                candidates = candidates_of(self.scores, self.space)
                chosen = choose(candidates, self.space, self.min_errors)
                table = gain_table(candidates, self.space, chosen)
                runner.logger.info(f'after round {number} of {len(self.rounds)}\n{table}')
                if is_main_process():
                    draw_candidates(folder / 'candidates.png', candidates, self.space, chosen)
        self._write(chosen)
        return runner.model

    def _run_round(self, entry: Round) -> None:
        so_far = self.first, self.excluded, self.scores, self.space, self.runner.seed
        archs = archs_of_round(entry.keep, entry.new, *so_far)
        known = {(score.arch, score.epochs, score.fold) for score in self.scores}
        jobs = [(arch, entry.epochs, fold) for fold in range(entry.folds) for arch in archs]
        jobs = [job for job in jobs if job not in known]
        self._run_jobs([job for job in jobs if self._find(job) is None])
        self.scores += [Score(*job, self._find(job)) for job in jobs]

    def _run_jobs(self, jobs: Sequence[Job]) -> None:
        """Runs trainings, one for each rank at a time; each rank learns all results."""
        rank, size = get_dist_info()
        for start in range(0, len(jobs), size):
            wave = jobs[start : start + size]
            mine = self._measure(wave[rank]) if rank < len(wave) else {}
            for (arch, epochs, fold), result in zip(wave, all_gather_object(mine, self._group), strict=False):
                if 'error' in result:
                    raise RuntimeError(
                        f'the short training of {self.space.title(arch)} ({epochs} epochs, fold {fold}) failed: '
                        f'{result["error"]}'
                    )
                self._file.add(self.space.key(arch), epochs, fold, result, write=is_main_process())
                self.runner.logger.info(
                    f'{self.space.title(arch)}, {epochs} epochs, fold {fold}: {result["score"]:.2f} mAP'
                    f' ({result["seconds"]:.0f} s)'
                )

    def _measure(self, job: Job) -> dict:
        """Runs a training; an error becomes a result, so that no rank waits for one that has failed."""
        arch, epochs, fold = job
        device = torch.cuda.current_device() if torch.cuda.is_available() else None
        try:
            cfg = short_config(self.runner.cfg, self.space.states(arch), epochs, fold)
            return self._train(cfg, device, self.runner.work_dir)
        except Exception as error:
            return dict(error=f'{type(error).__name__}: {error}')

    def _find(self, job: Job) -> float | None:
        arch, epochs, fold = job
        return self._file.find(self.space.key(arch), epochs, fold)

    def _settings(self) -> str:
        """Names all that the score of a training depends on, but the architecture, its length and the fold."""
        cfg, trained = self.runner.cfg, describe_run(self.runner)
        free = ('train_cfg.', 'model.arch', 'world_size')  # short trainings run apart
        config = {name: value for name, value in trained['config'].items() if not name.startswith(free)}
        judged = [cfg.val_dataloader.dataset.dataset.get('pipeline'), cfg.val_evaluator]
        start = cfg.model.backbone.get('init_cfg')
        known = [trained['data'], config, judged, start, self.runner.seed, self._max_epochs]
        known += filter(None, [start_of(cfg)])
        return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def _write(self, chosen: Arch) -> None:
        runner, norms = self.runner, self.space.states(chosen)
        epochs = sum(score.epochs for score in self.scores)
        split = sum(state == 'split' for state in norms.values())
        runner.logger.info(
            f'chosen: {self.space.title(chosen)}, {split} of {len(norms)} norms are split; {len(self.scores)} short '
            f'trainings took {epochs} epochs, {epochs / self._max_epochs:.2f} trainings of {self._max_epochs}; the '
            f'architecture is in {Path(runner.work_dir) / "arch.json"}'
        )
        if is_main_process():
            backbone = ConfigDict(runner.cfg.model.backbone).to_dict()
            write_result(Path(runner.work_dir), Architecture(norms, backbone), title=self.space.title(chosen))
