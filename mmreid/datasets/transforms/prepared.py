# Copyright (c) mmreid contributors. All rights reserved.
"""Transforms that look at all records before a training."""

from abc import abstractmethod
from collections.abc import Sequence

from mmcv.transforms import BaseTransform


class PreparedTransform(BaseTransform):
    """Base of transforms in the pipeline of a target whose records ``SourceTargetDataset`` shows them first."""

    @abstractmethod
    def prepare(self, records: Sequence[dict]) -> None:
        """Looks at all records that are going to be transformed, and raises if something is missing for one."""
