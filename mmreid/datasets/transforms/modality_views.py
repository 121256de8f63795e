# Copyright (c) mmreid contributors. All rights reserved.
"""Makes several views of an image, by transforms that depend on its modality."""

from collections.abc import Sequence

from mmcv.transforms import BaseTransform, Compose

from mmreid.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ModalityViews(BaseTransform):
    """Applies the transforms of its modality to an image, and packs it; one set of transforms makes one view.

    The last transform of a pipeline. A batch has the first view of every image, then the second of those that have
    two, and so on, and the batch size counts the images before.

    **Required Keys:**

    - modality: ``'visible'`` or ``'infrared'``
    - img
    - what the transforms and ``pack`` require

    Args:
        visible (Sequence[Sequence[dict]]): Transforms of each view of a visible image.
        infrared (Sequence[Sequence[dict]]): Transforms of each view of an infrared image.
        pack (dict, optional): What packs each view. Defaults to ``dict(type='PackReIDInputs')``.

    Raises:
        ValueError: If a modality has no view.
    """

    def __init__(
        self, visible: Sequence[Sequence[dict]], infrared: Sequence[Sequence[dict]], pack: dict | None = None
    ) -> None:
        pack = pack or dict(type='mmreid.PackReIDInputs')
        self.views = {}
        for modality, views in dict(visible=visible, infrared=infrared).items():
            if not views:
                raise ValueError(f'{modality}={views!r} of ModalityViews has no view; give one, [[]] to change nothing')
            self.views[modality] = [Compose([TRANSFORMS.build(step) for step in (*view, pack)]) for view in views]

    def transform(self, results: dict) -> list[dict]:
        """Makes the views of an image, each of them packed."""
        modality = results['modality']
        if modality not in self.views:
            raise ValueError(
                f"image {results.get('img_path')} has modality={modality!r}, but ModalityViews needs 'visible' or "
                "'infrared'; use a visible-infrared data set, or give the modality in its records"
            )
        return [view(dict(results, img=results['img'].copy())) for view in self.views[modality]]

    def __repr__(self) -> str:
        views = ', '.join(f'{modality}={views}' for modality, views in self.views.items())
        return f'ModalityViews({views})'
