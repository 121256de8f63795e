# Copyright (c) mmreid contributors. All rights reserved.
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.evaluation.functional.score_blocks import FeatureScores
from mmreid.models import QAConvMatcher
from mmreid.models.matchers import location_maxima as maxima_module
from mmreid.models.matchers import qaconv
from mmreid.models.matchers.location_maxima import location_maxima

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
SCORE = np.load(GOLDEN / '04_qaconv_score.npz')


def near(found, expected, tolerance):
    error = np.abs(found.detach().numpy() - expected) / np.maximum(1, np.abs(expected))
    assert error.max() <= tolerance


def official_matcher(mode='eval'):
    matcher = QAConvMatcher((6, 4))
    matcher.load_state_dict({k[6:]: torch.from_numpy(SCORE[k].copy()) for k in SCORE.files if k.startswith('param/')})
    return matcher.train(mode == 'train')


def maps(requires_grad=False):
    return [torch.from_numpy(SCORE[name].copy()).requires_grad_(requires_grad) for name in ('prob_fea', 'gal_fea')]


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_scores_gradients_and_statistics_are_the_official_ones(mode):
    matcher, (query, gallery) = official_matcher(mode), maps(requires_grad=True)
    scores = matcher(query, gallery)
    near(scores, SCORE[f'{mode}_score'], 1e-4)
    (scores * torch.from_numpy(SCORE['out_weights'])).sum().backward()
    near(query.grad, SCORE[f'{mode}_grad_prob'], 1e-3)
    near(gallery.grad, SCORE[f'{mode}_grad_gal'], 1e-3)
    for name, parameter in matcher.named_parameters():
        near(parameter.grad, SCORE[f'{mode}_grad/{name}'], 1e-3)
    for name, value in matcher.state_dict().items():
        near(value, SCORE[f'{"after_train" if mode == "train" else "param"}/{name}'], 1e-5)


def test_scores_without_gradient_swapped_and_of_half_maps():
    matcher, (query, gallery) = official_matcher(), maps()
    with torch.no_grad():
        near(matcher(query, gallery), SCORE['eval_score'], 1e-4)
        near(matcher(gallery, query), SCORE['eval_score_swapped'], 1e-4)
        # The official code rounds each step to float16, here only the maps are.
        near(-matcher(query.half(), gallery.half()), SCORE['pairwise_distance_half'], 5e-3)


def test_a_new_matcher_starts_as_the_official_one():
    state = QAConvMatcher((6, 4)).state_dict()
    for name, value in state.items():
        if name != 'fc.bias':  # random
            near(value, SCORE[f'default_init/{name}'], 0)


@pytest.mark.parametrize('sizes', [(3, 5, 7, 11), (3, 70, 2, 5), (1, 1, 1, 1), (4, 0, 3, 3), (0, 4, 3, 3)])
def test_location_maxima_are_those_of_the_whole_tensor(sizes, monkeypatch):
    """Values and gradients, whatever the tiles."""
    num_query, num_gallery, hw_q, hw_g = sizes
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    query, gallery = random(num_query, 6, hw_q).requires_grad_(), random(num_gallery, 6, hw_g).requires_grad_()
    weights = random(num_query, num_gallery, hw_q), random(num_query, num_gallery, hw_g)

    def results(function):
        of_query, of_gallery = function(query, gallery)
        total = (of_query * weights[0]).sum() + (of_gallery * weights[1]).sum()
        return of_query, of_gallery, *torch.autograd.grad(total, (query, gallery))

    def whole(query, gallery):
        products = torch.einsum('qcs,gcr->qgsr', query, gallery)
        return products.amax(3), products.amax(2)

    expected = results(whole)
    for tile in (1, 2000, 2**30):
        monkeypatch.setattr(maxima_module, 'CPU_TILE_BYTES', tile)
        for found, value in zip(results(location_maxima), expected, strict=True):
            torch.testing.assert_close(found, value)
        with torch.no_grad():
            for found, value in zip(location_maxima(query, gallery), expected[:2], strict=True):
                torch.testing.assert_close(found, value)


@pytest.mark.parametrize('hw', [5, 32])
def test_location_maxima_do_not_depend_on_the_number_of_threads(hw, monkeypatch):
    monkeypatch.setattr(maxima_module, 'CPU_TILE_BYTES', 2**17)
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(n, 6, hw, generator=generator).requires_grad_() for n in (17, 70)]

    def results():
        found = location_maxima(*maps)
        return *found, *torch.autograd.grad(sum((value**2).sum() for value in found), maps)

    expected, before = results(), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = results()
        with torch.inference_mode():
            found += location_maxima(*maps)
    finally:
        torch.set_num_threads(before)
    for value, exact in zip(found, (*expected, *expected[:2]), strict=True):
        assert torch.equal(value, exact)


def test_half_precision_maps_give_maxima_in_float32():
    generator = torch.Generator().manual_seed(0)
    query, gallery = (torch.randn(n, 8, 6, generator=generator).bfloat16().requires_grad_() for n in (3, 4))
    found, expected = location_maxima(query, gallery), location_maxima(query.float(), gallery.float())
    for value, exact in zip(found, expected, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact, rtol=0.01, atol=0.01)
    (found[0].sum() + found[1].sum()).backward()
    rough, query.grad = query.grad, None
    (expected[0].sum() + expected[1].sum()).backward()
    assert rough.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(rough.flatten(), query.grad.flatten(), 0) > 0.9


def test_training_never_holds_all_products():
    """The graph of a score keeps the maps and where the maxima were, much less than Q x G x hw x hw."""
    sizes = []

    def pack(tensor):
        sizes.append(tensor.numel())
        return tensor

    query = torch.randn(12, 4, 16, 4).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        QAConvMatcher((16, 4))(query, query.detach())
    assert max(sizes) == 12 * 12 * 2 * 64 < 12 * 12 * 64 * 64 / 30


def test_without_gradient_blocks_do_not_change_the_scores(monkeypatch):
    matcher, (query, gallery) = official_matcher(), maps()
    with torch.no_grad():
        whole = matcher(query, gallery)
        for size in (1, 8 * 24 * 3, 8 * 24 * 20):
            monkeypatch.setattr(qaconv, 'BLOCK_BYTES', size)
            torch.testing.assert_close(matcher(query, gallery), whole)


def test_score_blocks_take_it_and_out_is_filled():
    matcher, (query, gallery) = official_matcher(), maps()
    rows = FeatureScores(query, gallery, matcher, tile=3).rows(slice(1, 4))
    near(rows, SCORE['eval_score'][1:4], 1e-4)
    out = torch.full((5, 7), float('nan'))
    assert matcher.score(matcher.prepare(query), matcher.prepare(gallery), out=out) is out
    near(out, SCORE['eval_score'], 1e-4)
    out.fill_(float('nan'))
    official_matcher('train').score(matcher.prepare(query), matcher.prepare(gallery), out=out)
    near(out, SCORE['train_score'], 1e-4)


def test_under_autocast_scores_stay_in_float32():
    matcher, (query, gallery) = official_matcher('train'), maps(requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        scores = matcher(query, gallery)
    assert scores.dtype == torch.float32
    near(scores, SCORE['train_score'], 1e-4)


def test_the_one_sided_variant_has_weights_for_each_direction():
    matcher, (query, gallery) = QAConvMatcher((6, 4), symmetric=False).eval(), maps()
    assert matcher.fc.weight.shape == (1, 48)
    with torch.no_grad():
        one_way = matcher(query, gallery)
        assert not torch.allclose(one_way, matcher(gallery, query).t(), atol=1e-3)
        halves = torch.cat((matcher.fc.weight[:, 24:], matcher.fc.weight[:, :24]), 1)
        matcher.fc.weight.copy_(halves)
        torch.testing.assert_close(matcher(gallery, query).t(), one_way)


def test_what_is_no_map_of_the_right_size_is_refused():
    matcher = QAConvMatcher((6, 4))
    with pytest.raises(ValueError, match=r'4x6.*6x4.*model.matcher.size=\(4, 6\)'):
        matcher(torch.rand(2, 3, 4, 6), torch.rand(2, 3, 4, 6))
    with pytest.raises(ValueError, match=r'QAConvMatcher .*\(2, 24\).*model.type=PairwiseReID'):
        matcher(torch.rand(2, 24), torch.rand(2, 24))
