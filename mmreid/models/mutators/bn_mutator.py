# Copyright (c) mmreid contributors. All rights reserved.
"""The architecture parameters of a norm search: how likely each norm is split or shared."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmreid.models.layers import BranchNorm
from mmreid.registry import MODELS

SPLIT, SHARE = 0, 1


@MODELS.register_module()
class BNMutator(BaseModule):
    """Two logits per searched norm, and the mixing weights computed from them.

    The search of CM-NAS (Fu et al., ICCV 2021) was never released. This relaxation is that of DARTS (Liu et al.,
    ICLR 2019), or with ``relaxation='gumbel'`` that of TF-NAS (Hu et al., ECCV 2020, by three authors of CM-NAS).

    Args:
        relaxation (str): ``'softmax'`` mixes by the probabilities; ``'gumbel'`` mixes in training by a Gumbel-softmax
            sample, which is new in each step and the same on every rank. Defaults to ``'softmax'``.
        temperature (float): Temperature of the Gumbel softmax. Defaults to 5.0.
        temperature_decay (float): Factor on the temperature after each epoch with architecture steps. Defaults to
            0.96.
        weight_paths (str): What weight steps train while the architecture is open. ``'sampled'``: every norm runs one
            of its candidates, drawn by the probabilities in each step, the same on every rank (single paths, as in
            TF-NAS). ``'mixed'``: the mixture, as in DARTS; but the weights then fit the current mixture, so each
            candidate alone looks worse and the architecture gradient vanishes or misleads. Defaults to ``'sampled'``.
        renormalize (bool): Replace the logits by their log-softmax after each architecture step, as TF-NAS does. This
            changes no probability, only what weight decay acts on. Defaults to False.

    Attributes:
        logits (nn.Parameter): Logits of split and share, shape (L, 2), one row per norm in the order of :attr:`names`.
        names (list[str]): Names of the searched norms.
        epoch (int): Epochs with architecture steps so far, see :meth:`start_epoch`.
    """

    def __init__(
        self,
        relaxation: str = 'softmax',
        temperature: float = 5.0,
        temperature_decay: float = 0.96,
        weight_paths: str = 'sampled',
        renormalize: bool = False,
    ) -> None:
        super().__init__()
        if relaxation not in ('softmax', 'gumbel'):
            raise ValueError(f"relaxation={relaxation!r} of BNMutator is unknown; use 'softmax' or 'gumbel'")
        if weight_paths not in ('sampled', 'mixed'):
            raise ValueError(f"weight_paths={weight_paths!r} of BNMutator is unknown; use 'sampled' or 'mixed'")
        if temperature <= 0 or not 0 < temperature_decay <= 1:
            raise ValueError(
                f'temperature={temperature} of BNMutator must be above 0 and temperature_decay={temperature_decay} '
                'above 0 and at most 1'
            )
        self.relaxation = relaxation
        self.temperature = temperature
        self.temperature_decay = temperature_decay
        self.weight_paths = weight_paths
        self.renormalize = renormalize
        self.names: list[str] = []
        self._norms: dict[str, BranchNorm] = {}
        # A buffer, so that a checkpoint tells whether its choices are frozen; the copy avoids reading the device.
        self.register_buffer('is_frozen', torch.tensor(False))
        self._frozen = False

    def prepare(self, norms: Mapping[str, BranchNorm]) -> None:
        """Puts norms into ``'search'``, and sets their weights from now on.

        Args:
            norms (Mapping[str, BranchNorm]): By layer name.
        """
        for norm in norms.values():
            norm.set_mode('search')
        self.names = list(norms)
        # Not through nn.Module's setter: they already have their place in the module tree, in the backbone.
        object.__setattr__(self, '_norms', dict(norms))
        self.logits = nn.Parameter(torch.zeros(len(norms), 2))
        self.start_epoch(0, seed=0)

    def start_epoch(self, epoch: int, seed: int | Sequence[int]) -> None:
        """Sets the temperature and the random numbers of an epoch, from the arguments alone.

        Args:
            epoch (int): Epochs with architecture steps so far.
            seed (int | Sequence[int]): Seed of this epoch's random numbers.
        """
        self.epoch = epoch
        self._rng = np.random.default_rng(seed)
        self.sample(mixed=True)

    def sample(self, mixed: bool) -> None:
        """Draws the random numbers that training forwards use until the next call.

        Args:
            mixed (bool): Mix the candidates whatever ``weight_paths`` says; architecture steps need this.
        """
        size = len(self.names)
        single = self.weight_paths == 'sampled' and not mixed
        self._draw = torch.from_numpy(self._rng.random(size)) if single else None
        if self.relaxation == 'gumbel':
            self._noise = torch.from_numpy(self._rng.gumbel(size=(size, 2)))

    def probabilities(self) -> Tensor:
        """Returns the probabilities of split and share, shape (L, 2)."""
        return F.softmax(self.logits, dim=1)

    def mix(self) -> None:
        """Sets the weights of the norms for the next forward."""
        if self.frozen:
            weights = self._only(self._chosen())
        elif self.training and self._draw is not None:
            split = self._draw.to(self.logits, non_blocking=True) < self.probabilities()[:, SPLIT]
            weights = self._only(torch.where(split, SPLIT, SHARE))
        elif self.training and self.relaxation == 'gumbel':
            tau = self.temperature * self.temperature_decay**self.epoch
            weights = F.softmax((self.logits + self._noise.to(self.logits, non_blocking=True)) / tau, dim=1)
        else:
            weights = self.probabilities()
        for norm, row in zip(self._norms.values(), weights, strict=True):
            norm.weights = row

    def _only(self, candidates: Tensor) -> Tensor:
        # A gradient of zero for the logits: DistributedDataParallel waits for one of every parameter.
        return F.one_hot(candidates, 2) + 0 * self.logits

    @torch.no_grad()
    def after_step(self) -> None:
        """Applies ``renormalize`` after an architecture step."""
        if self.renormalize:
            self.logits.copy_(F.log_softmax(self.logits, dim=1))

    @property
    def frozen(self) -> bool:
        """bool: Whether the choices are frozen."""
        return self._frozen

    def freeze(self) -> None:
        """Freezes the choices: from now on each norm runs its chosen candidate. Checkpoints keep this."""
        self._frozen = True
        self.is_frozen.fill_(True)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._frozen = bool(self.is_frozen)

    def _chosen(self) -> Tensor:
        # A tie chooses share, which has fewer parameters.
        return torch.where(self.logits[:, SPLIT] > self.logits[:, SHARE], SPLIT, SHARE)

    def choices(self) -> dict[str, str]:
        """Returns the current architecture: ``'share'`` or ``'split'`` by layer name."""
        return {
            name: 'split' if chosen == SPLIT else 'share'
            for name, chosen in zip(self.names, self._chosen().tolist(), strict=True)
        }

    def entropy(self) -> Tensor:
        """Returns the entropy of each norm in bits, shape (L,): 1 is undecided, 0 decided."""
        probabilities = self.probabilities()
        return -torch.xlogy(probabilities, probabilities).sum(1) / np.log(2)
