# Copyright (c) mmreid contributors. All rights reserved.
"""Batch norms of parts of a batch, and of two domains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_networks import assert_near
from torch import nn

from mmreid.models import BranchBN1d, BranchBN2d, BranchContext, GhostBN1d, GhostBN2d
from mmreid.models.layers import apply_arch, attach_branches

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
BRANCHES = dict(source='BN_S', target='BN_T')


@pytest.mark.parametrize(('ghost', 'plain', 'shape'), [(GhostBN1d, nn.BatchNorm1d, (12, 5)),
                                                       (GhostBN2d, nn.BatchNorm2d, (12, 5, 3, 2))])  # fmt: skip
def test_each_part_has_its_own_statistics(ghost, plain, shape):
    norm, x = ghost(5, ghost_size=4), torch.randn(shape, generator=torch.Generator().manual_seed(0))
    parts = [plain(5) for _ in range(3)]
    x, again = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, wanted = norm(x), torch.cat([one(part) for one, part in zip(parts, again.chunk(3), strict=True)])
    torch.testing.assert_close(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(x.grad, again.grad)
    for name in ('running_mean', 'running_var'):
        mean = torch.stack([getattr(part, name) for part in parts]).mean(0)
        torch.testing.assert_close(getattr(norm, name), mean)
    assert norm.num_batches_tracked == 1
    parts[0].load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm.eval()(x), parts[0].eval()(x))


def test_what_is_left_belongs_to_the_parts():
    norm, plain = GhostBN1d(5, ghost_size=4), nn.BatchNorm1d(5)
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(norm(x), plain(x))
    torch.testing.assert_close(norm(x.repeat(2, 1))[:5], nn.BatchNorm1d(5)(x.repeat(2, 1)[:5]))
    with pytest.raises(ValueError, match='ghost_size=1'):
        GhostBN1d(5, ghost_size=1)


def test_norms_of_two_domains_are_the_official_ones():
    data = np.load(GOLDEN / '10_dsbn.npz')
    context = BranchContext(('source', 'target'))
    net = nn.ModuleDict(
        dict(conv=nn.Conv2d(3, 6, 3, bias=False), bn=BranchBN2d(6), fc=nn.Linear(6, 5), bn1d=BranchBN1d(5))
    )
    attach_branches(net, context)
    apply_arch(net, 'split')
    official = {name.removeprefix('param/'): data[name] for name in data.files if name.startswith('param/')}
    net.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in official.items()})

    def run(x):
        maps = torch.relu(net.bn(net.conv(x)))
        return net.bn1d(net.fc(maps.mean((2, 3))))

    x = torch.from_numpy(data['x'])
    context.set_blocks(4, 4)
    assert_near(run(x), data['train_out'], 1e-4)
    for name in (name for name in data.files if name.startswith('after/')):
        layer, branch, value = name.removeprefix('after/').split('.')
        ours = next(ours for ours, theirs in BRANCHES.items() if theirs == branch)
        assert_near(net.state_dict()[f'{layer}.{ours}.{value}'].float(), data[name], 1e-4)
    net.eval()
    for branch in BRANCHES:
        context.set_only(branch)
        assert_near(run(x), data[f'eval_{branch}'], 1e-4)


def test_branches_may_have_ghosts():
    norm = BranchBN2d(4, mode='split', branches=('source', 'target'), ghost_size=2)
    assert all(isinstance(branch, GhostBN2d) for branch in norm.branches) and norm._abbr_ == 'bn'
    assert isinstance(BranchBN1d(4, ghost_size=2).branches[0], GhostBN1d)


def test_the_shared_candidate_of_a_search_has_images_of_each_branch():
    x = torch.randn(12, 5, 3, 2, generator=torch.Generator().manual_seed(0))
    x[8:] += 3  # the other branch
    results = {}
    for mode in ('search', 'share', 'split'):
        branches = ('visible', 'infrared')
        context, norm = BranchContext(branches), BranchBN2d(5, mode=mode, branches=branches, ghost_size=2)
        norm.attach(context)
        context.set_blocks(8, 4)
        norm.weights = torch.tensor([0.0, 1.0])
        results[mode] = norm(x)
    torch.testing.assert_close(results['search'], results['share'])
    assert (results['share'] - results['split']).abs().max() > 1


@pytest.mark.parametrize(('norm', 'plain', 'shape'), [(BranchBN1d, nn.BatchNorm1d, (12, 5)),
                                                      (BranchBN2d, nn.BatchNorm2d, (12, 5, 3, 2))])  # fmt: skip
def test_a_shared_part_has_images_of_each_branch(norm, plain, shape):
    """As on several GPUs, each of which gets its share of both branches."""
    context, norm, plain = BranchContext(('visible', 'infrared')), norm(5, ghost_size=2), plain(5)
    norm.attach(context)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    context.set_blocks(8, 4)
    found = norm(x)
    means = []
    for rows in (torch.tensor([0, 1, 2, 3, 8, 9]), torch.tensor([4, 5, 6, 7, 10, 11])):
        plain.reset_running_stats()
        torch.testing.assert_close(found[rows], plain(x[rows]))
        means.append(plain.running_mean.clone())
    torch.testing.assert_close(norm.branches[0].running_mean, torch.stack(means).mean(0))
    context.set_only('visible')
    torch.testing.assert_close(norm(x[:4])[:2], plain(x[:2]))
