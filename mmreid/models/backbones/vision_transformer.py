# Copyright (c) mmreid contributors. All rights reserved.
"""MMPretrain's vision transformer, which also loads weights that were trained on rectangular images."""

import math
from typing import Any

from mmengine.logging import print_log
from mmpretrain.models.backbones import VisionTransformer as _VisionTransformer
from mmpretrain.models.utils import resize_pos_embed

from mmreid.registry import MODELS


@MODELS.register_module()
class VisionTransformer(_VisionTransformer):
    """:class:`mmpretrain.models.VisionTransformer` (ViT, DeiT) for images of any shape.

    Loading weights interpolates position embeddings of another grid. MMPretrain can do that only from square images, as
    in ImageNet. This class also does it from other rectangles, say from 256 x 128 to 384 x 128, and from weights with a
    class token to a model without one. Position embeddings for as many patches as this model has stay unchanged.

    Args:
        *args: See :class:`mmpretrain.models.VisionTransformer`.
        pretrained_grid (tuple[int, int], optional): Rows and columns of patches that the weights were trained with,
            e.g. ``(16, 8)`` for 256 x 128 and patches of 16; weight files do not store it. Defaults to None, a square.
        **kwargs: See there. For re-ID set ``img_size=(height, width)``; ``out_type='featmap'`` returns a map.
    """

    def __init__(self, *args, pretrained_grid: tuple[int, int] | None = None, **kwargs) -> None:
        self.pretrained_grid = pretrained_grid
        super().__init__(*args, **kwargs)

    def _prepare_pos_embed(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Resizes the position embeddings of a state dict in place; the base class registers it as a load hook."""
        name = f'{prefix}pos_embed'
        if name not in state_dict:
            return
        if not self.with_cls_token and f'{prefix}cls_token' in state_dict:
            state_dict[name] = state_dict[name][:, 1:]
        ours = tuple(self.patch_embed.init_out_size)
        places = state_dict[name].shape[1] - self.num_extra_tokens
        if places == math.prod(ours):
            return
        theirs = tuple(self.pretrained_grid or [math.isqrt(places)] * 2)
        if math.prod(theirs) != places:
            raise ValueError(
                f'the weights have position embeddings of {places} places, which is not {theirs[0]}x{theirs[1]}; set '
                'model.backbone.pretrained_grid=(rows, columns) to those of the images they were trained on, e.g. '
                '(16, 8) for 256x128 and patches of 16'
            )
        print_log(f'position embeddings of {theirs[0]}x{theirs[1]} places resized to {ours[0]}x{ours[1]}', 'current')
        state_dict[name] = resize_pos_embed(
            state_dict[name], theirs, ours, self.interpolate_mode, self.num_extra_tokens
        )
