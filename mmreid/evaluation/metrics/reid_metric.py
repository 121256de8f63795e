# Copyright (c) mmreid contributors. All rights reserved.
"""The metric of one-modality re-ID test sets."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmreid.evaluation.functional import RankingResult, rank, scorable_queries
from mmreid.registry import METRICS

RECORD_KEYS = ('sample_idx', 'pid', 'camid', 'split', 'img_path')


@METRICS.register_module()
class ReIDMetric(BaseMetric):
    """CMC, mAP and mINP of one test set, in percent.

    Query and gallery come in one pass and are told apart by each sample's ``split``. The scores come from the model's
    own matcher, which the loop sets as ``metric.matcher``.

    Args:
        cmc_topk (Sequence[int]): Which Rank-k to report. Defaults to (1, 5, 10, 20).
        cross_camera (bool | str): Whether gallery images of the query's identity from the query's camera are left
            out. ``'auto'`` does so when the test set has at least two cameras, and logs which rule ran. Defaults to
            ``'auto'``.
        keep_top (int): Keep that many gallery images of each query in ``self.ranking`` for pictures. Defaults to 0.
        prefix (str, optional): Prefix of the reported names. Defaults to the data set's name.
        collect_device (str): Kept for the interface of MMEngine; features travel through the CPU.

    Attributes:
        device (torch.device): Where features came from, and where they are matched and ranked.
        matcher (Callable): Turns query (Q, D) and gallery (G, D) features into scores (Q, G).
        ranking (RankingResult | None): The last result, on rank 0.
        records (dict[str, dict]): ``sample_idx``, ``pid``, ``camid`` and ``img_path`` of query and gallery, on rank 0.
    """

    default_prefix = 'reid'

    def __init__(
        self,
        cmc_topk: Sequence[int] = (1, 5, 10, 20),
        cross_camera: bool | str = 'auto',
        keep_top: int = 0,
        prefix: str | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if cross_camera not in (True, False, 'auto'):
            raise ValueError(f"cross_camera={cross_camera!r} of ReIDMetric is unknown; use 'auto', True or False")
        if not cmc_topk or min(cmc_topk) < 1:
            raise ValueError(f'cmc_topk={cmc_topk!r} of ReIDMetric must list ranks of at least 1')
        self.given_prefix = prefix
        self.cmc_topk = tuple(cmc_topk)
        self.cross_camera = cross_camera
        self.keep_top = keep_top
        self.matcher: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
        self.device = torch.device('cpu')
        self.ranking: RankingResult | None = None
        self.records: dict[str, dict[str, list]] = {}

    @property
    def name(self) -> str:
        """str: Prefix of the reported names."""
        return self.given_prefix or (self.dataset_meta or {}).get('dataset_name', self.default_prefix)

    def use_cross_camera(self, camids: torch.Tensor) -> bool:
        """Decides the same-camera rule.

        Args:
            camids (torch.Tensor): Cameras of all test images.

        Returns:
            bool: Whether matches of the query's own camera are left out.
        """
        if self.cross_camera == 'auto':
            return len(camids.unique()) > 1
        return self.cross_camera

    def validate(self, dataset: Any) -> None:
        """Checks, before any feature is extracted, that the test set can be scored.

        Args:
            dataset (BaseReIDDataset): The test set; its ``pids``, ``camids`` and ``splits`` are read.

        Raises:
            ValueError: If it lacks query or gallery, or no query can be scored.
        """
        if len(dataset) != len(getattr(dataset, 'pids', ())):
            raise ValueError(
                f"test set '{self.name}' is a {type(dataset).__name__} of {len(dataset)} images of unknown ids; "
                'give a BaseReIDDataset, without num_batch_per_epoch'
            )
        pids, camids = torch.as_tensor(dataset.pids), torch.as_tensor(dataset.camids)
        parts = {split: torch.as_tensor(dataset.splits == split) for split in ('query', 'gallery')}
        if not all(part.any() for part in parts.values()):
            counts = ', '.join(f'{int(part.sum())} {split} images' for split, part in parts.items())
            raise ValueError(f"test set '{self.name}' has {counts}; it needs both, so use split='test'")
        query, gallery = parts['query'], parts['gallery']
        crossing = self.use_cross_camera(camids)
        args = (pids[query], camids[query], pids[gallery], camids[gallery])
        valid = scorable_queries(*args, cross_camera=crossing)
        rule = 'left out' if crossing else 'kept'
        print_log(
            f'{self.name} | matches in the same camera are {rule} (cross_camera={self.cross_camera!r})', 'current'
        )
        if valid.all():
            return
        lost = self._explain_lost(*args, valid=valid)
        if not valid.any():
            raise ValueError(f"no query of '{self.name}' can be scored: {lost}")
        paths = [dataset.get_data_info(i)['img_path'] for i in query.nonzero().flatten()[~valid][:5].tolist()]
        print_log(f'{self.name} | {lost}; the first of them: {", ".join(paths)}', 'current', level=logging.WARNING)

    def _explain_lost(self, q_pids, q_camids, g_pids, g_camids, valid) -> str:
        absent = ~torch.isin(q_pids, g_pids)
        same_camera = int((~valid & ~absent).sum())
        cameras = len(torch.cat([q_camids, g_camids]).unique())
        parts = [f'{int((~valid).sum())} of {len(valid)} queries have no match to find']
        if absent.any():
            parts.append(
                f'{int(absent.sum())} have an identity that is absent from the gallery: do both use the same ids?'
            )
        if same_camera:
            parts.append(
                f'{same_camera} have all their matches in their own camera (cameras in the data: {cameras}): '
                'give camera ids, or count matches in the same camera with --cfg-options '
                'val_evaluator.cross_camera=False test_evaluator.cross_camera=False'
            )
        return '; '.join(parts)

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keeps the features and labels of a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict | ReIDDataSample]): Predictions with ``feature``.
        """
        features = torch.stack([sample['feature'] for sample in data_samples])
        batch: dict[str, Any] = {key: [sample[key] for sample in data_samples] for key in RECORD_KEYS}
        self.device = features.device
        # bfloat16 has no NumPy type and half loses ranks when scores are summed up in it.
        self.results.append(dict(batch, feature=features.float().cpu()))

    @torch.no_grad()
    def evaluate(self, size: int) -> dict[str, float]:
        """Gathers all ranks' features, ranks on rank 0 and tells everyone.

        Args:
            size (int): Length of the test set.

        Returns:
            dict[str, float]: ``<name>/mAP``, ``mINP``, ``Rank-k`` in percent, ``num_query`` and ``num_valid_query``.
        """
        gathered = all_gather_object(self.results)
        self.results = []
        outcome: list[Any] = [None]
        if is_main_process():
            try:
                outcome = [self.compute_metrics([batch for part in gathered for batch in part], size)]
            except Exception as error:  # noqa: BLE001 - the other ranks must hear of it, or they would wait for ever
                outcome = [error]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return {f'{self.name}/{key}': value for key, value in outcome[0].items()}

    def compute_metrics(self, results: list[dict], size: int | None = None) -> dict[str, float]:
        """Ranks the collected features.

        Args:
            results (list[dict]): What :meth:`process` kept, of all ranks.
            size (int, optional): Length of the test set, to notice lost images. Defaults to None.

        Returns:
            dict[str, float]: The metrics without prefix.
        """
        table = self._collate(results)
        if size is not None and len(table['pid']) != size:
            raise RuntimeError(
                f"'{self.name}' has {size} images but features of {len(table['pid'])} arrived; the test dataloader "
                'must not drop or filter samples (drop_last=False, sampler DefaultSampler with shuffle=False)'
            )
        query, gallery = self._split(table, 'query'), self._split(table, 'gallery')
        camids = torch.cat([query['camid'], gallery['camid']])
        if self.matcher is None:
            raise RuntimeError(
                "ReIDMetric has no matcher; set the type of val_cfg / test_cfg to 'ReIDValLoop' / 'ReIDTestLoop'"
            )
        # Scores are computed and ranked where the model works; its matcher may have weights there.
        gallery_features = gallery['feature'].to(self.device)
        self.ranking = rank(
            lambda block: self.matcher(query['feature'][block].to(self.device), gallery_features),
            query['pid'],
            query['camid'],
            gallery['pid'],
            gallery['camid'],
            cross_camera=self.use_cross_camera(camids),
            max_rank=max(self.cmc_topk),
            keep_top=self.keep_top,
        )
        self.records = dict(query=query, gallery=gallery)
        return self._report(self.ranking)

    def _report(self, result: RankingResult) -> dict[str, float]:
        metrics = dict(mAP=100 * result.mean_ap, mINP=100 * result.mean_inp)
        metrics.update({f'Rank-{k}': 100 * float(result.cmc[k - 1]) for k in self.cmc_topk})
        return dict(metrics, num_query=len(result.ap), num_valid_query=result.num_valid)

    @staticmethod
    def _collate(results: list[dict]) -> dict[str, Any]:
        """Joins the batches of all ranks, once per image, in the order of the data set."""
        table: dict[str, Any] = {key: [value for batch in results for value in batch[key]] for key in RECORD_KEYS}
        features = torch.cat([batch['feature'] for batch in results])
        # Loaders pad the last batch over ranks by repeating images; rows of the same image are the same.
        first = {index: row for row, index in reversed(list(enumerate(table['sample_idx'])))}
        rows = [first[index] for index in sorted(first)]
        table = {key: [values[row] for row in rows] for key, values in table.items()}
        return dict(table, feature=features[rows])

    @staticmethod
    def _split(table: dict[str, Any], split: str) -> dict[str, Any]:
        rows = [row for row, value in enumerate(table['split']) if value == split]
        if not rows:
            raise ValueError(f"no {split} image among {len(table['split'])} test images; use split='test'")
        part = {key: [table[key][row] for row in rows] for key in ('img_path', 'sample_idx')}
        part.update({key: torch.tensor([table[key][row] for row in rows]) for key in ('pid', 'camid')})
        return dict(part, feature=table['feature'][rows])
