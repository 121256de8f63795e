# Copyright (c) mmreid contributors. All rights reserved.
"""Writes the predictions for all images into a file."""

from mmengine import evaluator
from mmengine.fileio import dump
from mmengine.logging import print_log

from mmreid.registry import METRICS
from mmreid.utils.atomic_io import atomic_write


@METRICS.register_module()
class DumpResults(evaluator.DumpResults):
    """MMEngine's ``DumpResults``, which replaces its file only when the new one is complete.

    Args:
        *args (Any): Arguments of ``mmengine.evaluator.DumpResults``, unchanged: ``out_file_path`` and others.
        **kwargs (Any): Its keyword arguments, unchanged.
    """

    def compute_metrics(self, results: list) -> dict:
        """Writes the results of all ranks, a dict per image."""
        atomic_write(self.out_file_path, lambda file: dump(results, file, file_format='pkl'))
        print_log(f'Results have been saved to {self.out_file_path}.', logger='current')
        return {}
