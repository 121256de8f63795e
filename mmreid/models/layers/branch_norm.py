# Copyright (c) mmreid contributors. All rights reserved.
"""Norm layers that several branches (modalities, domains) share or split, or whose state a search decides."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mmreid.registry import MODELS

from .branch_context import SHARED, BranchContext, checked_branches
from .branch_mix import mixed_batch_norm, mixed_layer_norm
from .ghost_norm import GhostBN1d, GhostBN2d

MODES = ('share', 'split', 'search')


def norm_names(mode: str, branches: tuple[str, ...]) -> tuple[str, ...]:
    """Names the plain norms that a branch norm consists of in a mode; their weights have these names too."""
    return dict(share=(SHARED,), split=branches, search=(SHARED, *branches))[mode]


class BranchNorm(nn.Module):
    """Base of the branch norms, which consist of plain norms:

    - ``share``: one norm for all branches;
    - ``split``: one norm per branch;
    - ``search``: all of these, mixed by the :attr:`weights` that a mutator sets.

    The weights of a plain norm load into every branch, so pretrained backbones load completely. Weights of another
    state of a branch norm do not fit: they belong to another architecture.

    Args:
        make_norm (Callable[[], nn.Module]): Makes one plain norm.
        mode (str): ``'share'``, ``'split'`` or ``'search'``.
        branches (Sequence[str], optional): Names of the branches; None until a model calls :meth:`attach`. Only a norm
            that is built directly in ``'split'`` or ``'search'`` needs them here. Defaults to None.

    Attributes:
        context (BranchContext | None): Tells which rows belong to which branch; see :meth:`attach`.
        weights (Tensor | None): Weights of split and share in ``'search'``, shape (2,); the mutator sets them.

    Raises:
        ValueError: If the mode is unknown, or needs branches and there are none.
    """

    def __init__(self, make_norm: Callable[[], nn.Module], mode: str, branches: Sequence[str] | None = None) -> None:
        super().__init__()
        self.branch_names = checked_branches(branches) if branches is not None else ()
        self.mode = self._checked(mode)
        for name in self.norm_names:
            self.add_module(name, make_norm())
        self.context: BranchContext | None = None
        self.weights: Tensor | None = None
        self._branches_loaded = False

    def __getstate__(self) -> dict:
        # The weights belong to the graph of one step, which can be neither copied nor saved.
        return dict(self.__dict__, weights=None)

    def _checked(self, mode: str) -> str:
        if mode not in MODES:
            raise ValueError(f'mode={mode!r} of a branch norm is unknown; use one of {", ".join(MODES)}')
        if mode != 'share' and not self.branch_names:
            raise ValueError(
                f"a {type(self).__name__} in state {mode!r} needs the names of its branches; attach it to a model's "
                "BranchContext first, or build it with branches=('visible', 'infrared')"
            )
        return mode

    @property
    def norm_names(self) -> tuple[str, ...]:
        """tuple[str, ...]: Names of the plain norms of this state."""
        return norm_names(self.mode, self.branch_names)

    @property
    def branches(self) -> list[nn.Module]:
        """list[nn.Module]: The plain norms of this state."""
        return [self._modules[name] for name in self.norm_names]

    @property
    def weight(self) -> nn.Parameter:
        """nn.Parameter: Scale of the first plain norm, for initializers; :meth:`align_branches` copies it."""
        return self.branches[0].weight

    @property
    def bias(self) -> nn.Parameter:
        """nn.Parameter: Shift of the first plain norm."""
        return self.branches[0].bias

    def attach(self, context: BranchContext) -> None:
        """Connects the norm to the model that owns it and takes over the names of the model's branches.

        Args:
            context (BranchContext): The context of the model.

        Raises:
            ValueError: If the norm was built for other branches.
        """
        if self.branch_names not in ((), context.names):
            raise ValueError(
                f'this {type(self).__name__} was built with branches={self.branch_names}, but its model has the '
                f'branches {context.names}; leave branches out of its config'
            )
        self.branch_names, self.context = context.names, context

    def set_mode(self, mode: str) -> None:
        """Changes the state; a new plain norm starts as a copy of the first that was there.

        Args:
            mode (str): ``'share'``, ``'split'`` or ``'search'``.

        Raises:
            ValueError: If the mode is unknown, or needs branches and there are none.
        """
        mode = self._checked(mode)
        old = dict(zip(self.norm_names, self.branches, strict=True))
        self.mode = mode
        for name in old:
            delattr(self, name)
        for name in self.norm_names:
            self.add_module(name, old[name] if name in old else copy.deepcopy(next(iter(old.values()))))

    def align_branches(self) -> None:
        """Copies the first plain norm into the others, so that branches start equal however a backbone initialized
        its norms. Does nothing once branches were loaded one by one.
        """
        if self._branches_loaded:
            return
        first, *others = self.branches
        for other in others:
            other.load_state_dict(first.state_dict())

    def extra_repr(self) -> str:
        """Names the state and the branches."""
        return f'mode={self.mode}, branches={self.branch_names}'

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        plain = [name for name, _ in self.branches[0].named_parameters()]
        plain += [name for name, _ in self.branches[0].named_buffers()]
        for name in plain:
            if prefix + name in state_dict:
                value = state_dict.pop(prefix + name)
                for norm in self.norm_names:
                    state_dict[f'{prefix}{norm}.{name}'] = value
                self._branches_loaded = False
            elif any(f'{prefix}{norm}.{name}' in state_dict for norm in self.norm_names):
                self._branches_loaded = True
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes a batch whose rows are images, block by block."""
        if self.mode == 'share':
            norm = self._modules[SHARED]
            in_blocks = self.training and self.context is not None and isinstance(norm, (GhostBN1d, GhostBN2d))
            return norm(x, self._blocks(x)) if in_blocks else norm(x)
        if self.mode == 'split':
            return self._split(x)
        return self._mix(x)

    def _blocks(self, x: Tensor) -> tuple[int, ...]:
        if self.context is None:
            raise RuntimeError(
                f'a {type(self).__name__} in state {self.mode!r} belongs to no model; build the backbone in '
                'CrossModalReID or DomainAdaptiveReID, or attach() the norm to a BranchContext'
            )
        return self.context.blocks(x.shape[0])

    def _split(self, x: Tensor) -> Tensor:
        sizes = self._blocks(x)
        if self.context.only is not None:
            return self._modules[self.context.only](x)
        parts = zip(self.branches, x.split(sizes), strict=True)
        return torch.cat([branch(part) for branch, part in parts if len(part)])

    def _mix(self, x: Tensor) -> Tensor:
        """Mixes all plain norms in one pass, in ``'search'``."""
        raise NotImplementedError

    def _search_weights(self) -> Tensor:
        if self.weights is None:
            raise RuntimeError(f"a {type(self).__name__} in state 'search' has no weights; a mutator must set them")
        return self.weights


@MODELS.register_module()
class BranchBN2d(BranchNorm):
    """Batch norm of maps (N, C, H, W) with branches (Fu et al., CM-NAS, ICCV 2021).

    Args:
        num_features (int): C.
        mode (str): ``'share'``, ``'split'`` or ``'search'``. Defaults to ``'share'``.
        branches (Sequence[str], optional): See :class:`BranchNorm`. Defaults to None.
        **kwargs: See :class:`torch.nn.BatchNorm2d`; with a ``ghost_size`` the plain norms are :class:`GhostBN2d`, and
            statistics in ``'share'`` are those of so many images of each branch.
    """

    _abbr_ = 'bn'

    def __init__(self, num_features: int, mode: str = 'share', branches: Sequence[str] | None = None, **kwargs) -> None:
        plain = GhostBN2d if 'ghost_size' in kwargs else nn.BatchNorm2d
        super().__init__(lambda: plain(num_features, **kwargs), mode, branches)

    def _mix(self, x: Tensor) -> Tensor:
        return mixed_batch_norm(x, self._blocks(x), self._search_weights(), *self.branches)


@MODELS.register_module()
class BranchBN1d(BranchNorm):
    """Batch norm of embeddings (N, C) with branches, shared or split; it cannot be searched.

    Args:
        num_features (int): C.
        mode (str): ``'share'`` or ``'split'``. Defaults to ``'share'``.
        branches (Sequence[str], optional): See :class:`BranchNorm`. Defaults to None.
        **kwargs: See :class:`torch.nn.BatchNorm1d`; ``ghost_size`` as in :class:`BranchBN2d`.
    """

    _abbr_ = 'bn'

    def __init__(self, num_features: int, mode: str = 'share', branches: Sequence[str] | None = None, **kwargs) -> None:
        plain = GhostBN1d if 'ghost_size' in kwargs else nn.BatchNorm1d
        super().__init__(lambda: plain(num_features, **kwargs), mode, branches)


@MODELS.register_module()
class BranchLN(BranchNorm):
    """Layer norm over the last dimension of tokens (N, ..., C) with branches.

    MMPretrain's transformers take ``norm_cfg`` for some of their norms only. To reach all, Swin needs it in
    ``norm_cfg``, ``patch_cfg``, ``stage_cfgs.block_cfgs`` and ``stage_cfgs.downsample_cfg``; a vision transformer in
    ``norm_cfg`` and ``layer_cfgs``.

    Args:
        normalized_shape (int): Size of the last dimension.
        mode (str): ``'share'``, ``'split'`` or ``'search'``. Defaults to ``'share'``.
        branches (Sequence[str], optional): See :class:`BranchNorm`. Defaults to None.
        **kwargs: See :class:`torch.nn.LayerNorm`.
    """

    _abbr_ = 'ln'

    def __init__(
        self, normalized_shape: int, mode: str = 'share', branches: Sequence[str] | None = None, **kwargs
    ) -> None:
        super().__init__(lambda: nn.LayerNorm(normalized_shape, **kwargs), mode, branches)

    def _mix(self, x: Tensor) -> Tensor:
        return mixed_layer_norm(x, self._blocks(x), self._search_weights(), *self.branches)


@MODELS.register_module()
class BranchLN2d(BranchLN):
    """Layer norm over the channels of maps with branches, as ConvNeXt uses it.

    Args:
        num_channels (int): C.
        mode (str): ``'share'``, ``'split'`` or ``'search'``. Defaults to ``'share'``.
        branches (Sequence[str], optional): See :class:`BranchNorm`. Defaults to None.
        **kwargs: See :class:`torch.nn.LayerNorm`.
    """

    def __init__(self, num_channels: int, mode: str = 'share', branches: Sequence[str] | None = None, **kwargs) -> None:
        super().__init__(num_channels, mode, branches, **kwargs)

    def forward(self, x: Tensor, data_format: str = 'channel_first') -> Tensor:
        """Normalizes maps (N, C, H, W), or (N, H, W, C) with ``data_format='channel_last'``."""
        if data_format == 'channel_last':
            return super().forward(x)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()
