# Copyright (c) mmreid contributors. All rights reserved.
"""Owns the architecture parameters of a norm search: how much each norm is split, how much shared."""

from collections.abc import Mapping

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
    """Two logits for each searched norm, and the mixing weights that follow from them.

    The search of CM-NAS (Fu et al., ICCV 2021) was never released; this relaxation is the one of DARTS (Liu et al.,
    ICLR 2019), or with ``relaxation='gumbel'`` the one of TF-NAS (Hu et al., ECCV 2020, by three of its authors).

    Args:
        relaxation (str): ``'softmax'`` mixes by the probabilities; ``'gumbel'`` by a Gumbel-softmax sample in
            training, drawn anew in each step and the same on every rank. Defaults to ``'softmax'``.
        temperature (float): Temperature of the Gumbel softmax. Defaults to 5.0.
        temperature_decay (float): What it is multiplied with after each epoch with architecture steps. Defaults to
            0.96.
        weight_paths (str): What the weights are trained on while the architecture is open. ``'sampled'``: in each step
            every norm runs one of its candidates, drawn by the probabilities (single paths, as in TF-NAS), the same on
            every rank. ``'mixed'``: the mixture, as in DARTS; the weights then fit the mixture at hand, both candidates
            look worse, and the architecture gradient fades or points anywhere. Defaults to ``'sampled'``.
        renormalize (bool): Replace the logits by their log-softmax after each architecture step, as TF-NAS does. It
            changes no probability, but what weight decay pulls at. Defaults to False.

    Attributes:
        logits (nn.Parameter): Logits of split and share, shape (L, 2), one row a norm in the order of :attr:`names`.
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
        # A buffer, so that a checkpoint says whether its choices are fixed; the mirror spares reading the device.
        self.register_buffer('is_frozen', torch.tensor(False))
        self._frozen = False

    def prepare(self, norms: Mapping[str, BranchNorm]) -> None:
        """Takes norms over: they get both candidates and, from now on, their weights from here.

        Args:
            norms (Mapping[str, BranchNorm]): By layer name.
        """
        for norm in norms.values():
            norm.set_mode('search')
        self.names = list(norms)
        # Kept outside of the module tree, where they already have a place in the backbone.
        object.__setattr__(self, '_norms', dict(norms))
        self.logits = nn.Parameter(torch.zeros(len(norms), 2))
        self.start_epoch(0, seed=0)

    def start_epoch(self, epoch: int, seed: int) -> None:
        """Sets the temperature, and what is drawn in the epoch, which depends on nothing but the arguments.

        Args:
            epoch (int): Epochs with architecture steps so far.
            seed (int): Seed of the run.
        """
        self.epoch = epoch
        self._rng = np.random.default_rng([seed, epoch])
        self.sample(mixed=True)

    def sample(self, mixed: bool) -> None:
        """Draws what serves every forward in training until the next call.

        Args:
            mixed (bool): Mix the candidates, as architecture steps need it, whatever ``weight_paths`` says.
        """
        size = len(self.names)
        single = self.weight_paths == 'sampled' and not mixed
        self._draw = torch.from_numpy(self._rng.random(size)) if single else None
        if self.relaxation == 'gumbel':
            self._noise = torch.from_numpy(self._rng.gumbel(size=(size, 2)))

    def probabilities(self) -> Tensor:
        """Gives the share of each candidate.

        Returns:
            Tensor: Probability of split and share, shape (L, 2).
        """
        return F.softmax(self.logits, dim=1)

    def mix(self) -> None:
        """Hands the norms their weights for the next forward."""
        if self.frozen:
            weights = self._only(self._chosen())
        elif self.training and self._draw is not None:
            split = self._draw.to(self.logits) < self.probabilities()[:, SPLIT]
            weights = self._only(torch.where(split, SPLIT, SHARE))
        elif self.training and self.relaxation == 'gumbel':
            tau = self.temperature * self.temperature_decay**self.epoch
            weights = F.softmax((self.logits + self._noise.to(self.logits)) / tau, dim=1)
        else:
            weights = self.probabilities()
        for norm, row in zip(self._norms.values(), weights, strict=True):
            norm.weights = row

    def _only(self, candidates: Tensor) -> Tensor:
        # The logits keep a gradient, of zero: DistributedDataParallel waits for one of every parameter.
        return F.one_hot(candidates, 2) + 0 * self.logits

    @torch.no_grad()
    def after_step(self) -> None:
        """Re-normalizes the logits after an architecture step, if asked to."""
        if self.renormalize:
            self.logits.copy_(F.log_softmax(self.logits, dim=1))

    @property
    def frozen(self) -> bool:
        """bool: Whether the choices are fixed."""
        return self._frozen

    def freeze(self) -> None:
        """Fixes the choices: from now on the norms run what was chosen. Checkpoints remember it."""
        self._frozen = True
        self.is_frozen.fill_(True)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._frozen = bool(self.is_frozen)

    def _chosen(self) -> Tensor:
        # Equal logits choose share, which has fewer parameters.
        return torch.where(self.logits[:, SPLIT] > self.logits[:, SHARE], SPLIT, SHARE)

    def choices(self) -> dict[str, str]:
        """Gives the architecture as it stands.

        Returns:
            dict[str, str]: ``'share'`` or ``'split'`` by layer name.
        """
        return {
            name: 'split' if chosen == SPLIT else 'share'
            for name, chosen in zip(self.names, self._chosen().tolist(), strict=True)
        }

    def entropy(self) -> Tensor:
        """Gives the undecidedness of each norm.

        Returns:
            Tensor: Entropy in bits, shape (L,): 1 is undecided, 0 decided.
        """
        probabilities = self.probabilities()
        return -torch.xlogy(probabilities, probabilities).sum(1) / np.log(2)
