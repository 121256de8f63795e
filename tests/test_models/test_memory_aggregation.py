# Copyright (c) mmreid contributors. All rights reserved.
"""Matches of visible and infrared clusters, against the recorded ones of ADCA."""

import numpy as np
import pytest
import torch
from golden_networks import GOLDEN

from mmreid.models import aggregate_memories, count_similar_pairs, match_clusters


def golden(case):
    data = np.load(GOLDEN / f'13_adca_cma_{case}.npz')
    data = {key: torch.from_numpy(data[key]) for key in data.files}
    images = [data[key] for key in ('features_rgb', 'features_ir', 'labels_rgb', 'labels_ir')]
    return data, images, float(data['threshold'])


@pytest.mark.parametrize('block_size', [7, 1000])
@pytest.mark.parametrize('case', ['plain', 'loose', 'compete'])
def test_clusters_are_counted_matched_and_moved_as_recorded(case, block_size):
    data, images, threshold = golden(case)
    pairs, counts, best = count_similar_pairs(*images, threshold, block_size)
    assert torch.equal(torch.cat([pairs, counts[:, None]], 1), data['counted_pairs'])
    assert counts.sum() == data['n_pairs_over_threshold'] and best.min() >= threshold
    visible, infrared = match_clusters(*images, threshold, block_size)
    assert torch.equal(visible, data['matched_rgb']) and torch.equal(infrared, data['matched_ir'])
    moved = aggregate_memories(data['memory_rgb_0'], data['memory_ir_0'], visible, infrared, float(data['lam']))
    torch.testing.assert_close(moved, data['memory_rgb'], rtol=0, atol=1e-6)


def test_moved_entries_may_have_length_one():
    data, images, threshold = golden('plain')
    matches = match_clusters(*images, threshold)
    moved = aggregate_memories(data['memory_rgb_0'], data['memory_ir_0'], *matches, normalize=True)
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(len(moved)))
    others = np.setdiff1d(np.arange(len(moved)), matches[0])
    assert torch.equal(moved[others], data['memory_rgb_0'][others])


def test_where_nothing_is_similar_nothing_is_matched():
    data, images, _ = golden('plain')
    matches = match_clusters(*images, threshold=2.0)
    assert [len(part) for part in matches] == [0, 0]
    assert torch.equal(aggregate_memories(data['memory_rgb_0'], data['memory_ir_0'], *matches), data['memory_rgb_0'])
    outliers = [*images[:2], torch.full_like(images[2], -1), images[3]]
    assert not len(match_clusters(*outliers)[0])
    with pytest.raises(ValueError, match=f'{len(images[1])} infrared .*{len(images[1]) - 1} labels'):
        match_clusters(*images[:3], images[3][1:])
