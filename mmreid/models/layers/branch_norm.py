# Copyright (c) mmreid contributors. All rights reserved.
"""Norm layers that two modalities share, or that each has for itself, or that a search decides about."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmreid.registry import MODELS

from .branch_context import MODALITIES, BranchContext
from .branch_mix import mixed_batch_norm, mixed_layer_norm

BRANCHES = dict(share=('share',), split=MODALITIES, search=('share', *MODALITIES))


class BranchNorm(nn.Module):
    """Base of the modality norms: owns the branches of its state.

    - ``share``: one norm over both modalities;
    - ``split``: one norm for each modality;
    - ``search``: both, mixed by the weights that a mutator gives in :attr:`weights`.

    The weights of a plain norm load into every branch, so plain pretrained backbones load whole; those of another
    state of a modality norm do not fit, as they belong to another architecture.

    Args:
        branch (Callable[[], nn.Module]): Makes one plain norm.
        mode (str): ``'share'``, ``'split'`` or ``'search'``.

    Attributes:
        context (BranchContext | None): Tells which rows are which; the model sets it.
        weights (Tensor | None): Weights of split and share in ``'search'``, shape (2,); the mutator sets it.
    """

    def __init__(self, branch: Callable[[], nn.Module], mode: str) -> None:
        super().__init__()
        self.mode = self._checked(mode)
        for name in BRANCHES[mode]:
            self.add_module(name, branch())
        self.context: BranchContext | None = None
        self.weights: Tensor | None = None
        self._branches_loaded = False

    def __getstate__(self) -> dict:
        # Of one step only, and part of its graph, which can be neither copied nor saved.
        return dict(self.__dict__, weights=None)

    @staticmethod
    def _checked(mode: str) -> str:
        if mode not in BRANCHES:
            raise ValueError(f'mode={mode!r} of a modality norm is unknown; use one of {", ".join(BRANCHES)}')
        return mode

    @property
    def branches(self) -> list[nn.Module]:
        """list[nn.Module]: The norms of this state."""
        return [getattr(self, name) for name in BRANCHES[self.mode]]

    @property
    def weight(self) -> nn.Parameter:
        """nn.Parameter: Scale of the first branch, for initializers that set ``norm.weight``; see
        :meth:`align_branches`.
        """
        return self.branches[0].weight

    @property
    def bias(self) -> nn.Parameter:
        """nn.Parameter: Shift of the first branch."""
        return self.branches[0].bias

    def set_mode(self, mode: str) -> None:
        """Changes the state; a branch that is new starts as a copy of the first one there was.

        Args:
            mode (str): ``'share'``, ``'split'`` or ``'search'``.
        """
        old = {name: getattr(self, name) for name in BRANCHES[self.mode]}
        self.mode = self._checked(mode)
        for name in old:
            delattr(self, name)
        for name in BRANCHES[mode]:
            self.add_module(name, old[name] if name in old else copy.deepcopy(next(iter(old.values()))))

    def align_branches(self) -> None:
        """Copies the first branch into all others, so that the modalities start equal, however a backbone initialized
        its norms; but keeps branches that were loaded one by one.
        """
        if self._branches_loaded:
            return
        first, *others = self.branches
        for other in others:
            other.load_state_dict(first.state_dict())

    def extra_repr(self) -> str:
        """Names the state."""
        return f'mode={self.mode}'

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        plain = [name for name, _ in self.branches[0].named_parameters()]
        plain += [name for name, _ in self.branches[0].named_buffers()]
        for name in plain:
            if prefix + name in state_dict:
                value = state_dict.pop(prefix + name)
                for branch in BRANCHES[self.mode]:
                    state_dict[f'{prefix}{branch}.{name}'] = value
                self._branches_loaded = False
            elif any(f'{prefix}{branch}.{name}' in state_dict for branch in BRANCHES[self.mode]):
                self._branches_loaded = True
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _blocks(self, x: Tensor) -> tuple[int, int]:
        if self.context is None:
            raise RuntimeError(
                f'a {type(self).__name__} in state {self.mode!r} belongs to no model; build the backbone in '
                'CrossModalReID, which tells its norms the modality of each batch'
            )
        return self.context.blocks(x.shape[0])

    def _split(self, x: Tensor) -> Tensor:
        visible, infrared = self._blocks(x)
        if infrared == 0:
            return self.visible(x)
        if visible == 0:
            return self.infrared(x)
        first, second = x.split((visible, infrared))
        return torch.cat([self.visible(first), self.infrared(second)])

    def _search_weights(self) -> Tensor:
        if self.weights is None:
            raise RuntimeError(f"a {type(self).__name__} in state 'search' has no weights; a mutator must set them")
        return self.weights


@MODELS.register_module()
class BranchBN2d(BranchNorm):
    """Batch norm of maps (N, C, H, W) for two modalities (Fu et al., CM-NAS, ICCV 2021).

    Args:
        num_features (int): C.
        mode (str): ``'share'``, ``'split'`` or ``'search'``. Defaults to ``'share'``.
        **kwargs: See :class:`torch.nn.BatchNorm2d`.
    """

    _abbr_ = 'bn'

    def __init__(self, num_features: int, mode: str = 'share', **kwargs) -> None:
        super().__init__(lambda: nn.BatchNorm2d(num_features, **kwargs), mode)

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes maps (N, C, H, W)."""
        if self.mode == 'share':
            return self.share(x)
        if self.mode == 'split':
            return self._split(x)
        return mixed_batch_norm(x, self._blocks(x), self._search_weights(), *self.branches)


@MODELS.register_module()
class BranchLN(BranchNorm):
    """Layer norm over the last dimension for two modalities.

    Transformers of MMPretrain take ``norm_cfg`` for some of their norms only. For all: Swin needs it in ``norm_cfg``,
    ``patch_cfg``, ``stage_cfgs.block_cfgs`` and ``stage_cfgs.downsample_cfg``; a vision transformer in ``norm_cfg`` and
    ``layer_cfgs``.

    Args:
        normalized_shape (int): Size of the last dimension.
        mode (str): ``'share'``, ``'split'`` or ``'search'``. Defaults to ``'share'``.
        **kwargs: See :class:`torch.nn.LayerNorm`.
    """

    _abbr_ = 'ln'

    def __init__(self, normalized_shape: int, mode: str = 'share', **kwargs) -> None:
        super().__init__(lambda: nn.LayerNorm(normalized_shape, **kwargs), mode)

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes tokens (N, ..., C)."""
        if self.mode == 'share':
            return self.share(x)
        if self.mode == 'split':
            return self._split(x)
        return mixed_layer_norm(x, self._blocks(x), self._search_weights(), *self.branches)


@MODELS.register_module()
class BranchLN2d(BranchLN):
    """Layer norm over the channels of maps for two modalities, as ConvNeXt uses it.

    Args:
        num_channels (int): C.
        mode (str): ``'share'``, ``'split'`` or ``'search'``. Defaults to ``'share'``.
        **kwargs: See :class:`torch.nn.LayerNorm`.
    """

    def __init__(self, num_channels: int, mode: str = 'share', **kwargs) -> None:
        super().__init__(num_channels, mode, **kwargs)

    def forward(self, x: Tensor, data_format: str = 'channel_first') -> Tensor:
        """Normalizes maps (N, C, H, W), or (N, H, W, C) with ``data_format='channel_last'``."""
        if data_format == 'channel_last':
            return super().forward(x)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()
