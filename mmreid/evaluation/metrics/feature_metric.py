# Copyright (c) mmreid contributors. All rights reserved.
"""What all re-ID metrics share: they collect features, rank galleries and report."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from statistics import mean, stdev
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.utils import is_seq_of

from mmreid.evaluation.functional import (
    CachedScores,
    FeatureScores,
    PrefilteredScores,
    Protocol,
    RankingResult,
    rank,
    rank_galleries,
    scorable_queries,
)
from mmreid.evaluation.postprocessing import check_order, post_process
from mmreid.evaluation.retrieval_set import RetrievalSet, split_by_role
from mmreid.evaluation.retrieval_task import RetrievalTask
from mmreid.registry import TASK_UTILS

from .gathering import OPTIONAL_KEYS, RECORD_KEYS, gather_images
from .label_checks import explain_lost

DTYPES = dict(float32=torch.float32, float16=torch.float16)


class FeatureMetric(BaseMetric):
    """Base of the re-ID metrics; a new one implements :meth:`tasks` and :meth:`protocol`.

    Query and gallery come in one pass and are told apart by each sample's ``split``. The scores come from the model's
    own matcher, which the loop sets as ``metric.matcher``. All ranks get all features, share the queries and have the
    same result.

    Args:
        cmc_topk (Sequence[int]): Which Rank-k to report. Defaults to (1, 5, 10, 20).
        post (Sequence[dict]): Steps between features and ranking, such as ``[dict(type='KReciprocalRerank')]``; plain
            values are reported as well. Defaults to ().
        feature_dtype (str): How to keep features: ``'float32'``, or ``'float16'`` for half the memory, which may
            change ranks. The matchers of vectors compare them in float32. Defaults to ``'float32'``.
        prefilter_topk (int, optional): Match in two stages: only this many gallery images of each query, the nearest by
            pooled features, are scored by the matcher; the others rank behind them. For slow matchers of maps; values
            may fall. Defaults to None: all are scored.
        keep_scores (bool): Let ``post`` read the scores of the matcher from a temporary file (4 bytes for each pair of
            query and gallery image) instead of matching again. For slow matchers; idle without ``post``. Defaults to
            False.
        keep_top (int): Keep that many gallery images of each query in ``self.ranking`` for images. Defaults to 0.
        prefix (str, optional): Prefix of the reported names. Defaults to the data set's name.
        collect_device (str): Kept for the interface of MMEngine; features are kept on the CPU.
        **unknown (Any): Refused.

    Attributes:
        device (torch.device): Where features came from, and where they are matched and ranked.
        matcher (Callable): Turns query (Q, D) and gallery (G, D) features into scores (Q, G).
        test_set (tuple[RetrievalSet, RetrievalSet] | None): Query and gallery as they were collected, on rank 0.
        ranking (RankingResult | None): The result of the first row and trial, without ``post``.
        records (dict[str, RetrievalSet]): ``query`` and ``gallery`` of this result, on rank 0.
        details (dict[str, Any]): After :meth:`evaluate`: values of each trial and their standard deviation, for files.
    """

    default_prefix = 'reid'
    #: How loudly to say that some queries cannot be scored.
    LOST_LEVEL = logging.WARNING
    roc_fpr: tuple[float, ...] = ()

    def __init__(
        self,
        cmc_topk: Sequence[int] = (1, 5, 10, 20),
        post: Sequence[dict] = (),
        feature_dtype: str = 'float32',
        prefilter_topk: int | None = None,
        keep_scores: bool = False,
        keep_top: int = 0,
        prefix: str | None = None,
        collect_device: str = 'cpu',
        **unknown: Any,
    ) -> None:
        own = type(self).__name__
        if unknown:  # names the metric in the config, where Python would name this class
            raise TypeError(f"{own}.__init__() got an unexpected keyword argument '{next(iter(unknown))}'")
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not is_seq_of(cmc_topk, int) or not cmc_topk or min(cmc_topk) < 1:
            raise ValueError(f'cmc_topk={cmc_topk!r} of {own} must list ranks of at least 1, such as (1, 5, 10)')
        if feature_dtype not in DTYPES:
            raise ValueError(f"feature_dtype={feature_dtype!r} of {own} is unknown; use 'float32' or 'float16'")
        wrong = [step for step in post if not isinstance(step, dict) and not callable(step)]
        if wrong or not isinstance(post, (list, tuple)):
            raise ValueError(
                f"post={post!r} of {own} must be a list of steps, such as [dict(type='KReciprocalRerank')]; write it "
                'into the config, or add steps with --rerank and --qe of tools/test.py, whose options are then '
                'test_evaluator.post.0.<option> of the first step, and so on'
            )
        if prefilter_topk is not None and (prefilter_topk < 1 or post):
            raise ValueError(
                f'prefilter_topk={prefilter_topk} of {own} must be at least 1, and cannot be used together with post, '
                'whose steps compare all images'
            )
        self.given_prefix = prefix
        self.cmc_topk = tuple(cmc_topk)
        self.post = [TASK_UTILS.build(step) if isinstance(step, dict) else step for step in post]
        check_order(self.post)
        self.feature_dtype = DTYPES[feature_dtype]
        self.prefilter_topk = prefilter_topk
        self.keep_scores = keep_scores
        self.keep_top = keep_top
        self.matcher: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
        self.device = torch.device('cpu')
        self.test_set: tuple[RetrievalSet, RetrievalSet] | None = None
        self.ranking: RankingResult | None = None
        self.records: dict[str, RetrievalSet] = {}
        self.details: dict[str, Any] = {}
        self._rows: list[str] = []

    @property
    def name(self) -> str:
        """str: Prefix of the reported names."""
        return self.given_prefix or (self.dataset_meta or {}).get('dataset_name', self.default_prefix)

    @property
    def keys(self) -> list[str]:
        """list[str]: Names of the values that :meth:`evaluate` will report; known after :meth:`check`."""
        rows = [self._row_name(row + suffix) for row in self._rows for suffix in dict.fromkeys(('', self._suffix))]
        values = 'mAP', 'mINP', *(f'Rank-{k}' for k in self.cmc_topk), *(f'TPR@{fpr:g}' for fpr in self.roc_fpr)
        return [f'{row}/{value}' for row in rows for value in values]

    @property
    def _suffix(self) -> str:
        return ''.join(f'+{getattr(step, "label", type(step).__name__)}' for step in self.post)

    @abstractmethod
    def tasks(self, query: RetrievalSet, gallery: RetrievalSet) -> list[RetrievalTask]:
        """Says who looks for whom.

        Args:
            query (RetrievalSet): Labels of the test set's queries, and, but for :meth:`check`, their features.
            gallery (RetrievalSet): Likewise its gallery.

        Returns:
            list[RetrievalTask]: What to rank.

        Raises:
            ValueError: If the test set cannot fill the protocol, with counts.
        """

    @abstractmethod
    def protocol(self, task: RetrievalTask) -> Protocol:
        """Says what is left out of a gallery and what is counted.

        Args:
            task (RetrievalTask): One of :meth:`tasks`.

        Returns:
            Protocol: The rules.
        """

    def validate(self, dataset: Any) -> None:
        """Checks, before any feature is extracted, that the test set can be scored.

        Args:
            dataset (BaseReIDDataset): The test set; its ``pids``, ``camids``, ``splits`` and ``modalities`` are read.

        Raises:
            ValueError: If it lacks query or gallery, cannot fill the protocol, or no query can be scored.
        """
        if len(dataset) != len(getattr(dataset, 'pids', ())):
            raise ValueError(
                f"test set '{self.name}' is a {type(dataset).__name__} of {len(dataset)} images of unknown ids; "
                'give a BaseReIDDataset, without num_batch_per_epoch'
            )
        names = dict(pid='pids', camid='camids', split='splits', modality='modalities')
        columns = {key: getattr(dataset, name).tolist() for key, name in names.items() if hasattr(dataset, name)}
        order = [i for role in ('query', 'gallery') for i, split in enumerate(columns['split']) if split == role]
        columns = {key: [values[i] for i in order] for key, values in columns.items()}
        self._check_needs(dataset, order)
        self.check(
            *split_by_role(dict(columns, sample_idx=order)), lambda index: dataset.get_data_info(index)['img_path']
        )

    def _check_needs(self, dataset: Any, images: Sequence[int]) -> None:
        """Checks that the records have all that the steps of ``post`` read."""
        for step in self.post:
            for key in getattr(step, 'needs', ()):
                lacking = [i for i in images if dataset.get_data_info(i).get(key) is None]
                if lacking:
                    path = dataset.get_data_info(lacking[0])['img_path']
                    raise ValueError(
                        f'{type(step).__name__} needs the {key} of every image, but {len(lacking)} of {len(images)} in '
                        f"test set '{self.name}' have none, the first of them {path}; use data with {key}s (your own "
                        f'list: a column {key}), or take {type(step).__name__} out of post'
                    )

    def check(self, query: RetrievalSet, gallery: RetrievalSet, path_of: Callable[[int], str]) -> None:
        """Checks labels, see :meth:`validate`.

        Args:
            query (RetrievalSet): Labels of the queries.
            gallery (RetrievalSet): Labels of the gallery.
            path_of (Callable[[int], str]): Gives the file of a ``sample_idx``.
        """
        if not len(query) or not len(gallery):
            raise ValueError(
                f"test set '{self.name}' has {len(query)} query images, {len(gallery)} gallery images; "
                "it needs both, so use split='test'"
            )
        try:
            tasks = self.tasks(query, gallery)
        except ValueError as error:
            raise ValueError(f"test set '{self.name}' cannot be evaluated: {error}") from error
        self._rows = [row for task in tasks for row in task.galleries]
        for task in tasks:
            protocol = self.protocol(task)
            self._log_rule(protocol, len(task.query) + len(task.gallery))
            for row, trials in task.galleries.items():
                images = task.drawn(trials[0])
                self._check_scorable(f'{self.name}/{row}' if row else self.name, task.query, images, protocol, path_of)

    def _check_scorable(
        self, name: str, query: RetrievalSet, gallery: RetrievalSet, protocol: Protocol, path_of: Callable[[int], str]
    ) -> None:
        valid = scorable_queries(query.pid, query.camid, gallery.pid, gallery.camid, protocol)
        if valid.all():
            return
        lost = explain_lost(query, gallery, valid, self._where_hidden)
        if not valid.any():
            raise ValueError(f"no query of '{name}' can be scored: {lost}")
        first = [query.sample_idx[i] for i in (~valid).nonzero().flatten()[:5].tolist()]
        files = ', '.join(map(path_of, first))
        print_log(f'{name} | {lost}; the first of them: {files}', 'current', level=self.LOST_LEVEL)

    def _where_hidden(self, num_cameras: int) -> str:
        return f'in cameras that they do not see (cameras in the data: {num_cameras})'

    def _log_rule(self, protocol: Protocol, num_images: int) -> None:
        """Says which rule runs, where the data decides."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keeps the features and labels of a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Predictions with ``feature``.
        """
        features = torch.stack([sample['feature'] for sample in data_samples])
        batch: dict[str, Any] = {key: [sample[key] for sample in data_samples] for key in RECORD_KEYS}
        batch.update({key: [sample.get(key) for sample in data_samples] for key in OPTIONAL_KEYS})
        self.device = features.device
        self.results.append(dict(batch, feature=features.to(self.feature_dtype).cpu()))

    @torch.no_grad()
    def evaluate(self, size: int) -> dict[str, float]:
        """Gathers the features of all ranks, and ranks.

        Args:
            size (int): Length of the test set.

        Returns:
            dict[str, float]: The same on every rank: ``<name>[/<row>]/mAP``, ``mINP``, ``Rank-k`` in percent,
            ``num_query`` and ``num_valid_query``. Rows with ``post`` have ``+<step>`` at the end of their name.
        """
        columns, features = gather_images(self.results)
        self.results = []
        if len(features) != size:
            raise RuntimeError(
                f"'{self.name}' has {size} images but features of {len(features)} arrived; the test dataloader "
                'must not drop or filter samples (drop_last=False, sampler DefaultSampler with shuffle=False)'
            )
        metrics = self.compute_metrics(split_by_role(columns, features))
        if not is_main_process():  # files and images are written by one rank, so the others need not keep features
            self.test_set, self.records = None, {}
        return metrics

    @torch.no_grad()
    def compute_metrics(self, results: tuple[RetrievalSet, RetrievalSet]) -> dict[str, float]:
        """Ranks a test set.

        Args:
            results (tuple[RetrievalSet, RetrievalSet]): Query and gallery with features, see :func:`split_by_role`.

        Returns:
            dict[str, float]: See :meth:`evaluate`.
        """
        query, gallery = results
        if not len(query) or not len(gallery):
            raise ValueError(
                f"'{self.name}' has {len(query)} query images, {len(gallery)} gallery images; "
                "it needs both, so use split='test'"
            )
        if self.matcher is None:
            raise RuntimeError(
                f"{type(self).__name__} has no matcher; set the type of val_cfg / test_cfg to 'ReIDValLoop' / "
                "'ReIDTestLoop'"
            )
        self.test_set, self.ranking, self.details = results, None, {}
        metrics: dict[str, float] = {}
        for task in self.tasks(query, gallery):
            for row, ranked in self._rank(task).items():
                metrics.update(self._report(self._row_name(row), ranked))
        return metrics

    def _row_name(self, row: str) -> str:
        return f'{self.name}{row}' if row[:1] in ('', '+') else f'{self.name}/{row}'

    def _rank(self, task: RetrievalTask) -> dict[str, list[RankingResult]]:
        """Ranks all galleries of a task: results of all trials for each row."""
        query, gallery, galleries = task.query, task.gallery, task.galleries
        for step in self.post:
            if hasattr(step, 'check'):
                step.check(query.feature, self.matcher)
        drawn = [images for trials in galleries.values() for images in trials]
        if None not in drawn:  # only images that are in some gallery need scores
            used, places = torch.cat(drawn).unique(return_inverse=True)
            gallery, drawn = gallery.take(used), list(places.split([len(images) for images in drawn]))
        labels = query.pid, query.camid
        options = dict(protocol=self.protocol(task), max_rank=max(self.cmc_topk), sharded=True)
        options['roc_fpr'] = max(self.roc_fpr, default=0.0)
        # Scores are computed and ranked where the model works; its matcher may have weights there.
        names = query.img_path, gallery.img_path
        scores = FeatureScores(query.feature, gallery.feature, self.matcher, device=self.device, names=names)
        if self.prefilter_topk is not None:
            feats = query.feature, gallery.feature
            scores = PrefilteredScores(*feats, self.matcher, self.prefilter_topk, self.device)
        kept = CachedScores(scores) if self.keep_scores and self.post else None
        results = rank_galleries(
            kept or scores, *labels, gallery.pid, gallery.camid, drawn, keep_top=self.keep_top, **options
        )
        del scores
        if self.ranking is None:
            self.ranking, self.records = results[0], dict(query=query, gallery=gallery)
        rows = [row for row, trials in galleries.items() for _ in trials]
        ranked: dict[str, list[RankingResult]] = {row: [] for row in rows}
        for row, result in zip(rows, results, strict=True):
            ranked[row].append(result)
        if self.post:
            for row, images in zip(rows, drawn, strict=True):
                part = gallery if images is None else gallery.take(images)
                known = kept if kept is None or images is None else kept.choose(images)
                scores = post_process(self.post, query, part, self.matcher, self.device, known)
                result = rank(scores, *labels, part.pid, part.camid, **options)
                ranked.setdefault(row + self._suffix, []).append(result)
        return ranked

    def _report(self, name: str, trials: list[RankingResult]) -> dict[str, float]:
        """Averages the values of all trials, which go into the details where there are several."""
        if not trials[0].num_valid:
            raise ValueError(f"no query of '{name}' can be scored: none of {len(trials[0].ap)} has a match left")
        values = [self._values(result) for result in trials]
        if len(values) > 1:
            for key in values[0]:
                of_trials = [value[key] for value in values]
                self.details[f'{name}/{key}_trials'] = of_trials
                self.details[f'{name}/{key}_std'] = stdev(of_trials)
        metrics = {f'{name}/{key}': mean(value[key] for value in values) for key in values[0]}
        counts = dict(num_query=len(trials[0].ap), num_valid_query=trials[0].num_valid)
        return metrics | {f'{name}/{key}': value for key, value in counts.items()}

    def _values(self, result: RankingResult) -> dict[str, float]:
        values = dict(mAP=100 * result.mean_ap, mINP=100 * result.mean_inp)
        values.update({f'Rank-{k}': 100 * float(result.cmc[k - 1]) for k in self.cmc_topk})
        values.update({f'TPR@{fpr:g}': 100 * result.roc.tpr(fpr) for fpr in self.roc_fpr})
        return values
