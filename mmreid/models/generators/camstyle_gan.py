# Copyright (c) mmreid contributors. All rights reserved.
"""Learns to render an image in the style of another camera of the same data set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import nn

from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field
from mmreid.utils.unwrap_model import unwrap_model
from mmreid.utils.weight_sources import use_safe_loaders

from .gradient_penalty import gradient_penalty
from .stargan import DOWNSCALE

NETWORKS = ('generator', 'discriminator')


@MODELS.register_module()
class CamStyleGAN(BaseModel):
    """StarGAN with cameras as domains, trained as WGAN-GP (Choi et al., CVPR 2018; as in HHL, Zhong et al., ECCV 2018).

    Every step trains the discriminator; every ``n_critic``-th step then trains the generator. The target cameras are
    those of the batch in random order. Losses are logged without their weights.

    Train it with ``runner_type='CamStyleRunner'``, which reads the cameras from the data, and with an ``optim_wrapper``
    that has one entry for the generator and one for the discriminator. On several ranks each network needs its own
    wrapper: ``model_wrapper_cfg=dict(type='MMSeparateDistributedDataParallel')``.

    Args:
        cameras (Sequence[int]): The cameras of the data set (``camid``, counted from 0), at least two.
        size (tuple[int, int]): Height and width of the images. Defaults to (256, 128).
        generator (dict, optional): Defaults to ``dict(type='StarGANGenerator')``.
        discriminator (dict, optional): Defaults to ``dict(type='StarGANDiscriminator')``.
        lambda_cls (float): Weight of the camera classification. Defaults to 1.
        lambda_rec (float): Weight of the reconstruction. Defaults to 10.
        lambda_gp (float): Weight of the gradient penalty. Defaults to 10.
        n_critic (int): Steps of the discriminator per step of the generator. Defaults to 5.
        data_preprocessor (dict, optional): Defaults to a ``ReIDDataPreprocessor`` that scales to [-1, 1].
        init_cfg (dict, optional): Defaults to None.

    Attributes:
        camids (torch.Tensor): The cameras, a buffer of shape (C,), so that checkpoints tell what they were trained on.
        steps (torch.Tensor): Number of steps so far, a buffer, so that a resumed run keeps to ``n_critic``.

    Raises:
        ValueError: If the cameras are unknown or fewer than two, or the networks cannot process the size.
    """

    def __init__(
        self,
        cameras: Sequence[int] | None = None,
        size: tuple[int, int] = (256, 128),
        generator: dict | None = None,
        discriminator: dict | None = None,
        lambda_cls: float = 1.0,
        lambda_rec: float = 10.0,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        use_safe_loaders()  # also where MMEngine's own Runner trains the model
        scale = dict(type='mmreid.ReIDDataPreprocessor', mean=(127.5,) * 3, std=(127.5,) * 3)
        super().__init__(MODELS.build({**scale, **(data_preprocessor or {})}), init_cfg)
        if cameras is None:
            raise ValueError(
                "the cameras of CamStyleGAN are unknown; set runner_type='CamStyleRunner', which reads them from the "
                'training data, or give model.cameras'
            )
        self.cameras = sorted(set(map(int, cameras)))
        if len(self.cameras) < 2:
            raise ValueError(f'CamStyleGAN needs at least two cameras to learn the styles of, but got {self.cameras}')
        self.size = tuple(size)
        if any(side % DOWNSCALE for side in self.size):
            raise ValueError(f'size={self.size} of CamStyleGAN must be divisible by {DOWNSCALE}')
        if n_critic < 1:
            raise ValueError(f'n_critic={n_critic} of CamStyleGAN must be at least 1')
        count = dict(num_cameras=len(self.cameras))
        self.generator = MODELS.build({'type': 'mmreid.StarGANGenerator', **(generator or {}), **count})
        self.discriminator = MODELS.build(
            {'type': 'mmreid.StarGANDiscriminator', 'size': self.size, **(discriminator or {}), **count}
        )
        self.lambda_cls = lambda_cls
        self.lambda_rec = lambda_rec
        self.lambda_gp = lambda_gp
        self.n_critic = n_critic
        self.register_buffer('camids', torch.tensor(self.cameras))
        self.register_buffer('steps', torch.tensor(0))
        self._steps = 0  # the same on the host

    def style(self, inputs: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        """Renders each image in the style of one camera.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W).
            cameras (torch.Tensor): Index of each target camera in :attr:`cameras`, shape (N,), int64.

        Returns:
            torch.Tensor: Images in [-1, 1], shape (N, 3, H, W).
        """
        return unwrap_model(self.generator)(inputs, cameras)

    def forward(
        self, inputs: torch.Tensor, data_samples: list[ReIDDataSample] | None = None, mode: str = 'tensor'
    ) -> torch.Tensor:
        """Renders images (N, 3, H, W) in the styles of all :attr:`cameras`, in their order: (N, C, 3, H, W)."""
        if mode != 'tensor':
            raise ValueError(f"mode='{mode}' of CamStyleGAN is unknown: it is trained by train_step; use 'tensor'")
        cameras = [torch.full((len(inputs),), index, device=inputs.device) for index in range(len(self.cameras))]
        return torch.stack([self.style(inputs, camera) for camera in cameras], dim=1)

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, torch.Tensor]:
        """Takes a step of the discriminator and, every ``n_critic``-th time, of the generator; returns the losses."""
        if not isinstance(optim_wrapper, OptimWrapperDict) or set(optim_wrapper.keys()) != set(NETWORKS):
            raise ValueError(
                "CamStyleGAN needs an optim_wrapper with the entries 'generator' and 'discriminator'; see "
                'configs/_base_/schedules/stargan_220e.py'
            )
        data = self.data_preprocessor(data, training=True)
        real, source = data['inputs'], self._indices_of(data['data_samples'])
        target = source[self.draw_order(len(source))]
        source, target = (part.to(real.device, non_blocking=True) for part in (source, target))
        losses = self._discriminator_step(real, source, target, optim_wrapper['discriminator'])
        self._steps += 1
        self.steps.fill_(self._steps)
        if self._steps % self.n_critic == 0:
            losses |= self._generator_step(real, source, target, optim_wrapper['generator'])
        return losses

    def draw_order(self, count: int) -> torch.Tensor:
        """Draws the image whose camera each image of a batch imitates; shape (count,), int64."""
        return torch.randperm(count)

    def draw_mix(self, real: torch.Tensor) -> torch.Tensor:
        """Draws the fraction of the real image at which the gradient is penalized; shape (N,), in [0, 1)."""
        return torch.rand(len(real), device=real.device)

    def _discriminator_step(self, real, source, target, optim_wrapper) -> dict[str, torch.Tensor]:
        with optim_wrapper.optim_context(self.discriminator):
            with torch.no_grad():
                made = self.style(real, target)
            # One forward for both, because of distributed wrappers; the network has no batch norm that would mix them.
            scores, logits = self.discriminator(torch.cat([real, made.to(real.dtype)]))
            real_scores, made_scores = scores.chunk(2)
            adversarial = made_scores.mean() - real_scores.mean()
            classification = F.cross_entropy(logits[: len(real)], source)
            penalty = gradient_penalty(
                lambda points: unwrap_model(self.discriminator)(points)[0], real, made, self.draw_mix(real)
            )
            loss = adversarial + self.lambda_cls * classification + self.lambda_gp * penalty
        optim_wrapper.update_params(loss)
        return detached(d_loss_adv=adversarial, d_loss_cls=classification, d_loss_gp=penalty)

    def _generator_step(self, real, source, target, optim_wrapper) -> dict[str, torch.Tensor]:
        critic = unwrap_model(self.discriminator)  # it is not trained here, so ranks need not exchange gradients
        with optim_wrapper.optim_context(self.generator), frozen(critic):
            made = self.generator(real, target)
            scores, logits = critic(made)
            adversarial = -scores.mean()
            classification = F.cross_entropy(logits, target)
            reconstruction = F.l1_loss(self.generator(made, source), real)
            loss = adversarial + self.lambda_cls * classification + self.lambda_rec * reconstruction
        optim_wrapper.update_params(loss)
        return detached(g_loss_adv=adversarial, g_loss_cls=classification, g_loss_rec=reconstruction)

    def _indices_of(self, data_samples: list[ReIDDataSample]) -> torch.Tensor:
        """Returns the index of the camera of each image, shape (N,), int64."""
        camids = stack_field(data_samples, 'camid').tolist()
        unknown = sorted(set(camids) - set(self.cameras))
        if unknown:
            raise ValueError(
                f'an image is of camera {unknown[0] + 1}, but CamStyleGAN was made for {name_cameras(self.cameras)}; '
                'leave model.cameras out, it is read from the training data'
            )
        return torch.tensor([self.cameras.index(camid) for camid in camids])

    # State dicts must not have the name of a distributed wrapper, 'generator.module'.

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Returns the weights, with the same names on one rank and on several."""
        with self._unwrapped():
            return super().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        """Loads weights; raises ValueError if they are for other cameras."""
        found = state_dict['camids'].tolist() if 'camids' in state_dict else self.cameras
        if found != self.cameras:
            raise ValueError(
                f'the weights are for {name_cameras(found)}, but the data set has {name_cameras(self.cameras)}; use '
                'the config of the data set that they were trained on, or train again'
            )
        with self._unwrapped():
            return super().load_state_dict(state_dict, *args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._steps = int(self.steps)

    @contextmanager
    def _unwrapped(self) -> Iterator[None]:
        wrapped = {name: self._modules[name] for name in NETWORKS}
        self._modules.update({name: unwrap_model(module) for name, module in wrapped.items()})
        try:
            yield
        finally:
            self._modules.update(wrapped)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Lets gradients pass through a network without computing those of its weights."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def detached(**losses: torch.Tensor) -> dict[str, torch.Tensor]:
    """Detaches losses from their graphs."""
    return {name: loss.detach() for name, loss in losses.items()}


def name_cameras(cameras: Sequence[int]) -> str:
    """Names cameras, counted from 1 as in file names: ``'2 cameras (1, 2)'``."""
    return f'{len(cameras)} camera{"s" * (len(cameras) != 1)} ({", ".join(str(camid + 1) for camid in cameras)})'
