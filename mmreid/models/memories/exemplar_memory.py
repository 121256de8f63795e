# Copyright (c) mmreid contributors. All rights reserved.
"""One slot for the feature of every training image of a domain."""

import torch
from mmengine.dist import all_gather, all_reduce, get_dist_info

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .base_memory import BaseMemory
from .memory_similarity import MemorySimilarity
from .moving_rows import move_rows

DTYPES = dict(float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16)


@MODELS.register_module()
class ExemplarMemory(BaseMemory):
    """Keeps a running, L2-normalized feature of each target image (Zhong et al., ECN, CVPR 2019, section 3.2).

    The slots are a buffer: saved and resumed with the model, but seen by no optimizer. The forward reads them and keeps
    its features by :meth:`remember`; after the backward, :class:`~mmreid.engine.hooks.MemoryUpdateHook` writes these.

    Args:
        feat_dim (int): Size of a feature.
        num_slots (int, optional): Number of target images. Defaults to None: ``MemoryUpdateHook`` takes it from the
            training data.
        sharded (bool): Keep a part of the slots on each rank instead of all on every rank. Defaults to False.
        dtype (str): How slots are stored: ``'float32'``, ``'float16'`` or ``'bfloat16'``. Computation is in
            float32. Defaults to ``'float32'``.
        on_cpu (bool): Keep the slots in main memory and copy them to the device in chunks. Defaults to False.
        chunk_size (int): Slots to convert or copy at once, with another ``dtype`` or ``on_cpu``. Defaults to 8192.

    Raises:
        ValueError: If an argument is out of range.

    Attributes:
        features (torch.Tensor, optional): Slots of this rank, shape (S, D); zeros at the start.
        num_slots (int): Slots of all ranks; 0 before they are counted.
        first (int): Index of the first slot of this rank.
        version (int): How often the slots were written.
    """

    def __init__(
        self,
        feat_dim: int,
        num_slots: int | None = None,
        sharded: bool = False,
        dtype: str = 'float32',
        on_cpu: bool = False,
        chunk_size: int = 8192,
    ) -> None:
        super().__init__(feat_dim)
        if dtype not in DTYPES:
            raise ValueError(f'dtype={dtype!r} of ExemplarMemory is unknown; use one of {", ".join(DTYPES)}')
        if chunk_size < 1:
            raise ValueError(f'chunk_size={chunk_size} of ExemplarMemory must be at least 1')
        self.dtype = DTYPES[dtype]
        self.on_cpu = on_cpu
        self.chunk_size = chunk_size
        self.rank, world_size = get_dist_info()
        self.sharded = sharded and world_size > 1
        self.num_shards = world_size if self.sharded else 1
        self.num_slots = self.first = self.version = 0
        self._pending: tuple[torch.Tensor, torch.Tensor] | None = None
        self.register_buffer('features', None)
        if num_slots is not None:
            self.allocate(num_slots)

    def allocate(self, num_slots: int, device: torch.device | str | None = None) -> None:
        """Makes the slots, all zero.

        Args:
            num_slots (int): Number of images.
            device (torch.device | str, optional): Where to keep them, unless ``on_cpu``. Defaults to torch's default
                device.

        Raises:
            ValueError: If there are fewer slots than ranks that share them.
        """
        if num_slots < self.num_shards:
            raise ValueError(
                f'an exemplar memory of {num_slots} slots cannot be kept by {self.num_shards} rank(s); it needs one '
                'slot for each at least'
            )
        self.num_slots = num_slots
        self.first, end = (num_slots * rank // self.num_shards for rank in self._own_shard())
        device = 'cpu' if self.on_cpu else device
        self.features = torch.zeros(end - self.first, self.feat_dim, dtype=self.dtype, device=device)

    def _own_shard(self) -> tuple[int, int]:
        return (self.rank, self.rank + 1) if self.sharded else (0, 1)

    def _apply(self, fn, recurse: bool = True) -> 'ExemplarMemory':
        """Moves the module, but neither moves slots with ``on_cpu`` nor changes their ``dtype``."""
        slots = self.features
        if slots is None:
            return super()._apply(fn, recurse)
        self.features = None
        super()._apply(fn, recurse)
        moved = slots if self.on_cpu else fn(slots)
        self.features = moved if moved.dtype == self.dtype else slots.to(moved.device)
        return self

    def of_batch(self, feats: torch.Tensor, slots: torch.Tensor) -> tuple['ExemplarMemory', torch.Tensor]:
        """Returns this memory and the slots."""
        return self, slots.to(feats.device, non_blocking=True)

    def compare(self, feats: torch.Tensor, temperature: float = 1.0) -> MemorySimilarity:
        """Compares features (N, D) with all slots; the similarities are divided by the temperature."""
        self._require_slots()
        return MemorySimilarity(self, feats.float(), temperature)

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiplies rows (R, D), float32, with the slots of this rank; shape (R, S)."""
        if self._is_plain(rows):
            return rows @ self.features.t()
        result = rows.new_empty(len(rows), len(self.features))
        for begin in range(0, len(self.features), self.chunk_size):
            part = self._chunk(begin, rows)
            result[:, begin : begin + len(part)] = rows @ part.t()
        return result

    def product_back(self, grad: torch.Tensor) -> torch.Tensor:
        """Multiplies gradients (R, S), float32, with the slots of this rank; shape (R, D)."""
        if self._is_plain(grad):
            return grad @ self.features
        result = grad.new_zeros(len(grad), self.feat_dim)
        for begin in range(0, len(self.features), self.chunk_size):
            part = self._chunk(begin, grad)
            result.addmm_(grad[:, begin : begin + len(part)], part)
        return result

    def rows(self, slots: torch.Tensor) -> torch.Tensor:
        """Returns the features of slots. If sharded, all ranks must call it with slots of the same shape.

        Args:
            slots (torch.Tensor): Indices of slots, shape (N, K), int64.

        Returns:
            torch.Tensor: Shape (N, K, D), float32.
        """
        if not self.sharded:
            return self._own_rows(slots)
        for rank, wanted in enumerate(all_gather(slots.contiguous())):
            part = self._own_rows(wanted)
            all_reduce(part, op='sum')  # rank by rank, to hold only one batch of rows at a time
            if rank == self.rank:
                result = part
        return result

    def _own_rows(self, slots: torch.Tensor) -> torch.Tensor:
        """Returns the features of slots, zero where another rank has them."""
        columns = (slots - self.first).to(self.features.device)
        here = (columns >= 0) & (columns < len(self.features))
        rows = self.features[columns.clamp(0, len(self.features) - 1)].masked_fill_(~here[..., None], 0)
        return rows.to(slots.device).float()

    def _is_plain(self, rows: torch.Tensor) -> bool:
        return self.features.dtype == rows.dtype and self.features.device == rows.device

    def _chunk(self, begin: int, like: torch.Tensor) -> torch.Tensor:
        return self.features[begin : begin + self.chunk_size].to(like.device).to(like.dtype)

    def remember(self, feats: torch.Tensor, slots: torch.Tensor) -> None:
        """Keeps L2-normalized features (N, D) of this rank's step and their slots (N,), on the host, for the update."""
        if self._pending is not None:
            raise RuntimeError(
                "the exemplar memory was not updated after the last step; add dict(type='MemoryUpdateHook') to "
                'custom_hooks'
            )
        self._pending = feats.detach(), slots

    def take_pending(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Returns, once, the features (N, D) and slots (N,) that :meth:`remember` kept; None if there are none."""
        pending, self._pending = self._pending, None
        return pending

    @torch.no_grad()
    def update(self, feats: torch.Tensor, slots: torch.Tensor, alpha: float) -> None:
        """Moves slots toward new features: ``slot = normalize(alpha * slot + (1 - alpha) * feature)``.

        Rows are written in order, so a slot that occurs twice moves twice, as in the official code. Rows that are not
        finite (from a step that mixed precision skips) are left out.

        Args:
            feats (torch.Tensor): Features of all ranks in rank order, shape (N, D).
            slots (torch.Tensor): Their slots, shape (N,), int64; on the host, or it waits for the device.
            alpha (float): Momentum, the weight of the old slot, in [0, 1].

        Raises:
            ValueError: If ``alpha`` is out of range, or there is no such slot.
        """
        if not 0 <= alpha <= 1:
            raise ValueError(f'alpha={alpha} is the weight of the old slot and must lie in [0, 1]')
        self._require_slots()
        self.check(slots)
        columns = slots - self.first
        mine = ((columns >= 0) & (columns < len(self.features))).nonzero()[:, 0]
        self.version += 1
        with full_precision(feats):
            kept = feats[mine.to(feats.device, non_blocking=True)] if self.sharded else feats
            move_rows(self.features, columns[mine], kept, alpha)

    def _require_slots(self) -> None:
        if self.features is None:
            raise RuntimeError(
                "the exemplar memory has no slots yet; add dict(type='MemoryUpdateHook') to custom_hooks, which counts "
                'the target images, or set model.head.memory.num_slots'
            )

    def check(self, slots: torch.Tensor) -> None:
        """Raises a ValueError if there are no such slots (N,), which must be on the host."""
        low, high = (int(bound) for bound in slots.aminmax()) if len(slots) else (0, 0)
        if self.num_slots and not 0 <= low <= high < self.num_slots:
            raise ValueError(
                f'the batch shows target images {low} to {high}, but the exemplar memory has slots 0 to '
                f'{self.num_slots - 1}; it was made for another target set'
            )

    def extra_repr(self) -> str:
        """Shows the size in the log."""
        return f'num_slots={self.num_slots}, feat_dim={self.feat_dim}, dtype={self.dtype}, sharded={self.sharded}'
