# Copyright (c) mmreid contributors. All rights reserved.
"""CUHK03 in its new protocol."""

from pathlib import Path

from mmreid.datasets.readers.layout_hints import find_root
from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

from .market1501 import Market1501

_PARENTS = ('', 'CUHK03-NP/', 'cuhk03-np/', 'cuhk03_np/')
_FOLDERS = dict(
    detected=('cuhk03_np_detected', 'detected'),
    labeled=('cuhk03_np_labeled', 'cuhk03_np_labelled', 'labeled', 'labelled'),
)
_PUBLISHED = dict(
    detected=dict(train=Counts(767, 7_365), query=Counts(700, 1_400), gallery=Counts(None, 5_332)),
    labeled=dict(train=Counts(767, 7_368), query=Counts(700, 1_400), gallery=Counts(None, 5_328)),
)


@DATASETS.register_module()
class CUHK03NP(Market1501):
    """CUHK03-NP (Li et al., CVPR 2014; new protocol of Zhong et al., CVPR 2017): 767 + 700 identities, 2 cameras.

    It is read from folders in the layout of Market-1501, with names that start with ``PPPP_cC_``: identity, camera. It
    is evaluated like Market-1501, not by the classic protocol of CUHK03. There are no time stamps and no distractors:
    identity 0 is an ordinary one.

    Args:
        data_root (str): The folder that holds ``bounding_box_train``, or a parent that holds ``cuhk03_np_detected`` or
            ``cuhk03_np_labeled`` (or ``detected``, ``labeled``, ``labelled``, also within ``CUHK03-NP``).
        variant (str): Boxes of a detector (``'detected'``) or drawn by hand (``'labeled'``). Defaults to
            ``'detected'``.
        **kwargs: See :class:`Market1501`.
    """

    METAINFO = dict(dataset_name='cuhk03np')
    PATTERN = r'(?P<pid>-?\d+)_c(?P<camid>\d+)_'
    EXAMPLE = '0001_c1_1.png (identity, camera, number)'
    DISTRACTOR_PIDS = ()
    TREE = """  {root}/
    cuhk03_np_detected/  (variant='detected'; or cuhk03_np_labeled/ with variant='labeled')
      bounding_box_train/
      query/
      bounding_box_test/"""

    def __init__(self, data_root: str, variant: str = 'detected', **kwargs) -> None:
        if variant not in _FOLDERS:
            raise ValueError(f"variant='{variant}' of {type(self).__name__} is unknown; use 'detected' or 'labeled'")
        self._wanted_variant = variant
        self.NESTED = _nested(variant)
        self.PUBLISHED = _PUBLISHED[variant]
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the folders of the split."""
        self.variant = self._wanted_variant
        return super().parse()

    def find_root(self) -> Path:
        """Finds the folder of the variant, and refuses that of the other one."""
        other = 'labeled' if self.variant == 'detected' else 'detected'
        wanted = list(self.FOLDERS.values())
        root = find_root(self.data_root, self.NESTED, wanted)
        if not any((root / folder).is_dir() for folder in wanted):
            root = find_root(self.data_root, _nested(other), wanted)
        if root.name in _FOLDERS[other] and any((root / folder).is_dir() for folder in wanted):
            raise FileNotFoundError(
                f"{type(self).__name__} found {root}, which is variant='{other}', but variant='{self.variant}' was "
                f'asked for; set variant or data_root (now {self.data_root!r})'
            )
        return super().find_root()


def _nested(variant: str) -> tuple[str, ...]:
    return tuple(parent + folder for parent in _PARENTS for folder in _FOLDERS[variant])
