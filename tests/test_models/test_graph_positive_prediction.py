# Copyright (c) mmreid contributors. All rights reserved.
"""Learned neighbors: what they are worth on identities that were not learned, what they choose, what is refused."""

import math

import pytest
import torch
import torch.nn.functional as F
from test_models.test_domain_adaptive_reid import batch, build

from mmreid.evaluation.functional.neighbor_precision import precision_at_equal_recall, rate_learned, rate_nearest
from mmreid.models import CandidateGraph, GraphPositivePrediction, InvarianceHead

IDENTITIES, CAMERAS, IMAGES, SIZE, HELD_OUT = 100, 4, 2, 32, 4
SMALL = dict(k=3, channels=(8, 4))
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]


def planted(seed, identities=IDENTITIES, num_cameras=CAMERAS, noise=0.6):
    """Features with an identity, a camera that all share, and noise: the nearest are often of the same camera only."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    labels = torch.arange(identities).repeat_interleave(num_cameras * IMAGES)
    cameras = torch.arange(num_cameras).repeat_interleave(IMAGES).repeat(identities)
    feats = draw(identities, SIZE)[labels] + 0.7 * draw(num_cameras, SIZE)[cameras] + noise * draw(len(labels), SIZE)
    return F.normalize(feats), labels


def train(feats, labels, steps=150, k=20):
    """A small graph, trained with the optimizer of the configs at its first rate."""
    gpp = GraphPositivePrediction(SIZE, k=k, channels=(64, 32, 32, 32), held_out_every=HELD_OUT)
    gpp.graph.init_weights()
    gpp.allocate(labels)
    gpp.memory.features.copy_(feats)
    optimizer = torch.optim.Adam(gpp.parameters(), lr=1e-3, weight_decay=5e-4)
    for _ in range(steps):
        rows = torch.randperm(len(feats))[:64]
        optimizer.zero_grad()
        gpp.source_loss(feats[rows], rows)['loss_neighbors'].backward()
        optimizer.step()
    return gpp


@torch.no_grad()
def held_out_precision(gpp, feats, labels):
    """Precision with the graph, of 5 nearest, and of one threshold on the similarity, all at the same recall."""
    held = (labels % HELD_OUT == HELD_OUT - 1).nonzero()[:, 0]
    found = gpp.predict(gpp.memory, feats[held], held)
    positive = labels[found.slots] == labels[held][:, None]
    similarity = (feats[found.slots] * feats[held][:, None]).sum(-1)
    graph, nearest, recall = precision_at_equal_recall(found.logits, positive, k=5)
    assert recall > 0.4
    return graph, nearest, precision_at_equal_recall(similarity, positive, k=5)[0]


@pytest.mark.parametrize('seed', SEEDS)
def test_on_unseen_identities_it_is_more_precise_than_the_nearest_at_equal_recall(seed):
    torch.manual_seed(seed)
    feats, labels = planted(seed)
    graph, nearest, by_similarity = held_out_precision(train(feats, labels), feats, labels)
    assert graph > max(nearest, by_similarity) + 0.1


def test_with_shuffled_labels_it_is_not():
    torch.manual_seed(0)
    feats, labels = planted(0)
    gpp = train(feats, labels[torch.randperm(len(labels))])
    graph, nearest, by_similarity = held_out_precision(gpp, feats, labels)
    assert graph < min(nearest, by_similarity)


@pytest.mark.parametrize('seed', SEEDS)
def test_what_is_chosen_is_right_as_often_as_mu_says_though_positives_weigh_more(seed):
    """One candidate in thirteen is right, so positives weigh ten times as much in the loss."""
    torch.manual_seed(seed)
    feats, labels = planted(seed, identities=300, num_cameras=2, noise=0.7)
    gpp = train(feats, labels, k=40)
    assert gpp.threshold == 0.9 and gpp.log_pos_weight.exp() == pytest.approx(10, abs=0.1)
    held = (labels % HELD_OUT == HELD_OUT - 1).nonzero()[:, 0]
    found = gpp.predict(gpp.memory, feats[held], held)
    positive = labels[found.slots] == labels[held][:, None]
    assert positive[found.chosen].float().mean() >= 0.9 and found.chosen.sum() > 0.2 * positive.sum()
    learned = (found.logits + gpp.log_pos_weight).sigmoid() > 0.9  # what the loss alone would call 0.9
    assert positive[learned].float().mean() < 0.8


def test_the_weight_of_positives_is_followed_in_training_only_and_if_there_are_candidates():
    torch.manual_seed(0)
    gpp = GraphPositivePrediction(SIZE, k=5, channels=(8, 4), held_out_every=0)
    gpp.allocate(torch.tensor([0, 0, 1, 1, 2, 2]))
    feats = F.normalize(torch.randn(6, SIZE))
    gpp.source_loss(feats, torch.arange(6))
    assert gpp.log_pos_weight == 0, 'no slot was written'
    gpp.memory.features.copy_(feats)
    gpp.eval().source_loss(feats, torch.arange(6))
    assert gpp.log_pos_weight == 0
    gpp.train().source_loss(feats, torch.arange(6))
    assert gpp.log_pos_weight == pytest.approx(0.1 * math.log(4))  # of five candidates one is right
    gpp.labels = torch.zeros(6, dtype=torch.int64)  # nothing but positives: the least weight
    gpp.source_loss(feats, torch.arange(6))
    assert gpp.log_pos_weight == pytest.approx(0.09 * math.log(4) - 0.1 * math.log(10))


class TestPrecisionAtEqualRecall:
    scores = torch.tensor([[0.9, 0.5, 0.5], [0.8, 0.2, 0.1]])
    positive = torch.tensor([[False, True, False], [True, False, True]])

    def test_both_find_as_many(self):
        # Of 2 nearest 2 of 4 are true. To find 2 with the score, all from 0.5 on are needed, which are 4.
        assert precision_at_equal_recall(self.scores, self.positive, 2) == (0.5, 0.5, 2 / 3)
        # Of 1 nearest 1 of 2 is true; the score finds 1 among the first 2.
        assert precision_at_equal_recall(self.scores, self.positive, 1) == (0.5, 0.5, 1 / 3)

    def test_what_is_not_valid_does_not_count(self):
        valid = torch.tensor([[False, True, True], [True, True, True]])
        assert precision_at_equal_recall(self.scores, self.positive, 1, valid) == (2 / 3, 1.0, 2 / 3)

    def test_without_a_hit_or_a_number_it_says_so(self):
        results = [
            precision_at_equal_recall(self.scores, torch.zeros_like(self.positive), 2),
            precision_at_equal_recall(self.scores * float('nan'), self.positive, 2),
            precision_at_equal_recall(self.scores[:0], self.positive[:0], 2),
        ]
        assert all(value != value for result in results for value in result)


class TestRates:
    labels = torch.tensor([0, 0, 1, 1, 0])

    def gpp(self):
        gpp = GraphPositivePrediction(2, k=3, channels=(4,))
        gpp.allocate(self.labels)
        gpp.memory.features[:4] = F.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.3], [0.8, 0.5], [0.0, 1.0]]))
        return gpp  # the last slot was never written, so it neither asks nor answers

    def test_of_the_nearest(self):
        memory = self.gpp().memory
        # Nearest of 0 is 1, of 1 is 2, of 2 is 1, of 3 is 2: the first and the last are right.
        assert rate_nearest(memory, torch.arange(5), self.labels, k=1) == pytest.approx(
            dict(knn_precision=50, recall=100 / 3)
        )
        # Of the three nearest to slot 3 one is right; the fourth slot is empty.
        assert rate_nearest(memory, torch.tensor([3]), self.labels, k=9) == pytest.approx(
            dict(knn_precision=100 / 3, recall=100)
        )
        assert rate_nearest(memory, torch.tensor([4]), self.labels, k=1) == {}

    def test_of_what_a_graph_chooses(self):
        gpp = self.gpp()
        # The candidates of 0 are 1, 2, 3, of 3 they are 2, 1, 0. The graph takes the first, and for 0 the last too.
        gpp.graph.forward = lambda query, rows, valid: torch.tensor([[9.0, -9.0, 8.0], [9.0, -9.0, -8.0]])
        found = rate_learned(gpp, gpp.memory, torch.tensor([0, 3]), self.labels, k=2)
        assert found == pytest.approx(
            dict(knn_precision=50, gpp_precision=100, recall=200 / 3, chosen_precision=200 / 3,
                 chosen_recall=200 / 3, chosen=1.5)
        )  # fmt: skip
        assert rate_learned(gpp, gpp.memory, torch.tensor([4]), self.labels, k=2) == {}


def test_a_graph_layer_is_the_weighted_sum_of_itself_and_of_those_around():
    """Against [X, A X] W + b written out."""
    torch.manual_seed(0)
    graph = CandidateGraph(6, (5,), edge_temperature=0.5, self_loops=False, norm=False)
    query, rows = F.normalize(torch.randn(2, 6), dim=-1), F.normalize(torch.randn(2, 4, 6), dim=-1)
    valid = torch.ones(2, 4, dtype=torch.bool)
    valid[1, 3] = False
    likeness = rows @ rows.transpose(1, 2) / 0.5
    likeness[:, torch.arange(4), torch.arange(4)] = float('-inf')
    likeness[1, :, 3] = float('-inf')
    nodes = rows - query[:, None]
    both = torch.cat([nodes, likeness.softmax(-1) @ nodes], -1)
    layer = graph.layers[0]
    expected = F.relu(both @ torch.cat([layer.own.weight, layer.around.weight], 1).t() + layer.own.bias)
    first, activation, last = graph.classifier
    hidden = first(expected)
    hidden = torch.where(hidden > 0, hidden, hidden * activation.weight)
    torch.testing.assert_close(graph(query, rows, valid), last(hidden)[..., 0], rtol=1e-4, atol=1e-5)


def head_of(**neighbors):
    """A head with 9 target slots and 6 source slots of 3 identities."""
    neighbors = dict(dict(type='GraphPositivePrediction', **SMALL), **neighbors)
    head = InvarianceHead(16, 3, memory=dict(type='ExemplarMemory', num_slots=9), invariance=dict(neighbors=neighbors))
    head.memory.features.copy_(F.normalize(torch.randn(9, 16, generator=torch.Generator().manual_seed(0))))
    head.neighbors.allocate(torch.tensor([0, 0, 1, 1, 2, 2]))
    return head


def targets(head, logits):
    """Targets of slots 0 and 3 when the graph gives these logits."""
    head.neighbors.graph.forward = lambda query, rows, valid: torch.tensor(logits).expand(len(query), -1)
    own = torch.tensor([0, 3])
    head.start_epoch(5)
    return head.invariance.targets(head.memory.compare(head.memory.features[own]), own)


def test_the_chosen_share_a_weight_of_1_and_the_own_slot_is_no_candidate():
    slots, weights = targets(head_of(), [9.0, -9.0, 9.0])
    assert slots[:, 0].tolist() == [0, 3] and not (slots[:, 1:] == slots[:, :1]).any()
    assert weights.tolist() == [[1.0, 0.5, 0.0, 0.5]] * 2


def test_with_none_chosen_only_the_own_slot_is_left():
    assert targets(head_of(), [2.0, 2.0, 2.0])[1].tolist() == [[1.0, 0.0, 0.0, 0.0]] * 2  # 0.88, less than mu
    assert targets(head_of(threshold=0.8), [2.0, -9.0, -9.0])[1].tolist() == [[1.0, 1.0, 0.0, 0.0]] * 2


def test_a_slot_that_was_never_written_is_never_chosen():
    head = head_of(k=5)
    head.memory.features[4:] = 0
    slots, weights = targets(head, [9.0] * 5)
    assert (slots >= 4).any(1).all() and not weights[slots >= 4].any() and weights.sum(1).tolist() == [2.0, 2.0]


def source_of(inputs, samples):
    for idx, sample in enumerate(samples):
        sample.set_metainfo(dict(sample_idx=idx))
    return inputs, samples


def model_of(**neighbors):
    neighbors = dict(type='GraphPositivePrediction', **{**SMALL, **neighbors})
    model = build(invariance=dict(neighbors=neighbors)).train()
    model.head.neighbors.allocate(torch.tensor([0, 1, 2, 0]))
    return model


@pytest.mark.parametrize('autocast', [False, True])
def test_every_weight_of_the_graph_gets_a_gradient_from_the_first_step_and_the_backbone_none(autocast):
    """Also when no slot was written yet, or several processes would wait for it."""
    model = model_of()
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        losses = model(*source_of(*batch()), mode='loss')
    assert losses['loss_neighbors'] == 0 and losses['loss_neighbors'].dtype == torch.float32
    losses['loss_neighbors'].backward()
    with_gradient = {name for name, value in model.named_parameters() if value.grad is not None}
    assert with_gradient == {
        f'head.invariance.neighbors.graph.{name}' for name, _ in model.head.neighbors.graph.named_parameters()
    }


@pytest.mark.parametrize(
    ('neighbors', 'asked', 'expected'),
    [
        (dict(k=3), None, 'dropped'),
        (dict(type='GraphPositivePrediction', **SMALL), None, 'clean'),
        (dict(type='GraphPositivePrediction', **SMALL), 'dropped', 'dropped'),
    ],
)
def test_slots_are_clean_by_default_if_a_graph_reads_them(neighbors, asked, expected):
    memory = dict(type='ExemplarMemory')
    assert InvarianceHead(16, memory=memory, invariance=dict(neighbors=neighbors), update_with=asked).update_with == (
        expected
    )


def test_after_an_update_it_learns():
    model = model_of(held_out_every=0)
    model(*source_of(*batch()), mode='loss')
    assert set(model.head.memories()) == {'source', 'target'}
    for memory in model.head.memories().values():
        memory.update(*memory.take_pending(), 0.0)
    assert model.head.neighbors.memory.features.norm(dim=1).tolist() == pytest.approx([1.0] * 4)
    losses = model(*source_of(*batch()), mode='loss')
    assert losses['loss_neighbors'] > 0


def test_held_out_identities_are_neither_queries_nor_candidates_of_the_loss():
    torch.manual_seed(0)
    gpp = GraphPositivePrediction(
        SIZE, k=5, channels=(8, 4), norm=False, held_out_every=3
    )  # of three identities the last
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    gpp.allocate(labels)
    feats = F.normalize(torch.randn(6, SIZE))
    gpp.memory.features.copy_(feats)
    found = gpp.predict(gpp.memory, feats, torch.arange(6))
    learned = (labels[:, None] != 2) & (labels[found.slots] != 2)
    positive = (labels[:, None] == labels[found.slots])[learned].float()
    assert positive.sum() == 4 and len(positive) == 12  # twice as many negatives
    expected = F.binary_cross_entropy_with_logits(found.logits[learned], positive, pos_weight=torch.tensor(2.0))
    torch.testing.assert_close(gpp.source_loss(feats, torch.arange(6)), dict(loss_neighbors=expected))
    assert gpp.held_out_slots().tolist() == [4, 5]


def test_with_batch_norm_target_images_leave_its_statistics_alone():
    head = head_of(norm=True).train()
    norm = head.neighbors.graph.layers[0].norm
    head.neighbors.source_loss(F.normalize(torch.randn(4, 16)), torch.arange(4))
    before = norm.running_mean.clone()
    head.start_epoch(5)
    head.target_loss(torch.randn(4, 16), torch.arange(4))
    assert torch.equal(norm.running_mean, before) and norm.training and norm.num_batches_tracked == 1


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(k=0), 'k=0 '),
        (dict(threshold=1.0), r'threshold=1.0 .*\[0, 1\)'),
        (dict(max_pos_weight=0.5), 'max_pos_weight=0.5'),
        (dict(held_out_every=1), 'held_out_every=1 '),
        (dict(channels=()), r'channels=\(\) '),
        (dict(edge_temperature=0), 'edge_temperature=0 '),
        (dict(memory=dict(type='ExemplarMemory', sharded=True)), 'memory.sharded=True'),
    ],
)
def test_settings_without_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        head_of(**wrong)


@pytest.mark.parametrize(
    ('head', 'message'),
    [
        (dict(memory=None), 'neighbors=.*GraphPositivePrediction.*memory'),
        (dict(memory=dict(type='MiniBatchMemory')), 'MiniBatchMemory.*ExemplarMemory'),
    ],
)
def test_a_head_that_cannot_use_them_is_refused(head, message):
    invariance = dict(neighbors=dict(type='GraphPositivePrediction', **SMALL))
    settings = dict(memory=dict(type='ExemplarMemory'), invariance=invariance)
    with pytest.raises(ValueError, match=message):
        InvarianceHead(16, **{**settings, **head})


def test_a_source_without_labels_or_with_too_few_images_is_refused():
    gpp = GraphPositivePrediction(16, **SMALL)
    with pytest.raises(ValueError, match='4 identities .*4 source images'):
        gpp.allocate(torch.arange(4))
    with pytest.raises(ValueError, match='0 identities'):
        gpp.allocate(torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match='k=3 .*source .* 3 .*invariance.neighbors.k to 2'):
        gpp.allocate(torch.tensor([0, 0, 1]))
    with pytest.raises(RuntimeError, match='GraphPositivePrediction .*MemoryUpdateHook'):
        gpp.source_loss(torch.zeros(1, 16), torch.zeros(1, dtype=torch.int64))
