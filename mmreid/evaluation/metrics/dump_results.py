# Copyright (c) mmreid contributors. All rights reserved.
"""Writes what a model says of each image into a file."""

from mmengine import evaluator
from mmengine.fileio import dump
from mmengine.logging import print_log

from mmreid.registry import METRICS
from mmreid.utils.atomic_io import atomic_write


@METRICS.register_module()
class DumpResults(evaluator.DumpResults):
    """MMEngine's ``DumpResults``, whose file is complete or as it was before.

    Args:
        *args (Any): Arguments of ``mmengine.evaluator.DumpResults``, unchanged: ``out_file_path`` and others.
        **kwargs (Any): Its keyword arguments, unchanged.
    """

    def compute_metrics(self, results: list) -> dict:
        """Writes the results of all ranks.

        Args:
            results (list): A dict per image.

        Returns:
            dict: Nothing.
        """
        atomic_write(self.out_file_path, lambda file: dump(results, file, file_format='pkl'))
        print_log(f'Results have been saved to {self.out_file_path}.', logger='current')
        return {}
