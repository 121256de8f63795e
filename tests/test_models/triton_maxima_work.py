# Copyright (c) mmreid contributors. All rights reserved.
"""What test_location_maxima_triton.py runs under the interpreter of Triton: kernels against the torch path."""

from unittest import mock

import numpy as np
import pytest
import torch
import triton.language as tl
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

from mmreid.models.matchers import location_maxima as reference
from mmreid.models.matchers import location_maxima_triton as kernels
from mmreid.models.matchers.location_maxima_triton import fits, fused_gradient, fused_maxima


class OutOfShared(Exception):
    """What a kernel raises that does not fit on a GPU."""


def multiply_bfloat16() -> None:
    """Mends the interpreter, which multiplies the bits of bfloat16 as integers (Triton 3.8)."""
    create_dot = InterpreterBuilder.create_dot

    def as_float(side: TensorHandle) -> TensorHandle:
        if side.data.dtype != np.uint16:
            return side
        return TensorHandle((side.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    InterpreterBuilder.create_dot = lambda self, a, b, *rest: create_dot(self, as_float(a), as_float(b), *rest)


def main() -> None:
    multiply_bfloat16()
    generator = torch.Generator().manual_seed(0)
    # Maps larger and smaller than a block, of even and odd sizes; several maps for a program.
    for (num_query, num_gallery, hw_q, hw_g, dim), dtype in (
        ((2, 3, 20, 70, 8), torch.float32),
        ((3, 2, 65, 9, 24), torch.float32),
        ((1, 1, 1, 1, 1), torch.float32),
        ((2, 5, 16, 64, 16), torch.float16),
        ((2, 3, 20, 70, 8), torch.float16),
        ((2, 3, 20, 70, 8), torch.bfloat16),
        ((2, 5, 16, 64, 16), torch.bfloat16),
        ((2, 2, 130, 20, 200), torch.float32),  # more channels than are on the chip at a time
    ):
        # Whole numbers: products are exact in any type and order, and many of them are equal.
        query = torch.randint(-2, 3, (num_query, hw_q, dim), generator=generator).to(dtype)
        gallery = torch.randint(-2, 3, (num_gallery, hw_g, dim), generator=generator).to(dtype)
        assert fits(query, gallery)
        expected = reference._maxima(query.float(), gallery.float(), with_indices=True)
        for found, value in zip(fused_maxima(query, gallery, with_indices=True), expected, strict=True):
            torch.testing.assert_close(found, value, rtol=0, atol=0)
        for found, value in zip(fused_maxima(query, gallery)[:2], expected[:2], strict=True):
            torch.testing.assert_close(found, value, rtol=0, atol=0)
        grads = [torch.randint(-4, 5, value.shape, generator=generator) / 4 for value in expected[:2]]
        own, other = (expected[2], grads[0]), (expected[3], grads[1])
        swapped = [tuple(value.transpose(0, 1) for value in side) for side in (other, own)]
        for maps, sides in ((gallery, (*own, *other)), (query, (*swapped[0], *swapped[1]))):
            torch.testing.assert_close(
                fused_gradient(maps, *sides), reference._gradient(maps.float(), *sides), rtol=0, atol=0
            )
    assert not fits(torch.empty(1, 1000, 8), torch.empty(1, 8, 8))
    with pytest.warns(UserWarning, match='20 and 9 locations x 8 channels in torch.float32 .OutOfShared'):
        with mock.patch.object(kernels, 'fused_maxima', side_effect=OutOfShared):
            assert not fits(torch.empty(1, 20, 8), torch.empty(1, 9, 8))


if __name__ == '__main__':
    torch.set_num_threads(1)
    main()
    print('kernels agree with the torch path')
