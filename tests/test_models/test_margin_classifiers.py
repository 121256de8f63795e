# Copyright (c) mmreid contributors. All rights reserved.
"""Margin softmax against fast-reid (tests/data/golden), and what is ours."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden_networks import assert_near

from mmreid.models import ArcFaceClassifier, CircleClassifier, CosFaceClassifier, NeckFeatures, ReIDHead

CASES = np.load(Path(__file__).parents[1] / 'data' / 'golden' / '08_margin_softmax.npz')
KINDS = dict(CosSoftmax=CosFaceClassifier, ArcSoftmax=ArcFaceClassifier, CircleSoftmax=CircleClassifier)
ALL = pytest.mark.parametrize('kind', KINDS.values())


def loaded(kind, **options):
    classifier = kind(in_channels=24, num_classes=20, **options)
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(CASES['weight']))
    return classifier


@pytest.mark.parametrize('name', KINDS)
def test_logits_loss_and_gradients_equal_fastreid(name):
    classifier = loaded(KINDS[name], scale=float(CASES[f'{name}.scale']), margin=float(CASES[f'{name}.margin']))
    feats, labels = torch.from_numpy(CASES['feature']).requires_grad_(), torch.from_numpy(CASES['targets'])
    logits = classifier.with_margin(classifier(feats), labels)
    assert_near(logits, CASES[f'{name}.logits'], 1e-4)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    assert_near(loss, CASES[f'{name}.loss'], 1e-4)
    assert_near(feats.grad, CASES[f'{name}.grad_feature'], 1e-4)
    assert_near(classifier.weight.grad, CASES[f'{name}.grad_weight'], 1e-4)


@pytest.mark.parametrize('name', KINDS)
def test_head_adds_the_margin_in_training_only(name):
    options = dict(scale=float(CASES[f'{name}.scale']), margin=float(CASES[f'{name}.margin']))
    head = ReIDHead(
        24, 20, classifier=dict(type=KINDS[name].__name__, **options), loss_cls=dict(type='CrossEntropyLoss')
    )
    with torch.no_grad():
        head.classifier.weight.copy_(torch.from_numpy(CASES['weight']))
    feats, labels = torch.from_numpy(CASES['feature']), torch.from_numpy(CASES['targets'])
    cosine = F.normalize(feats, dim=1) @ F.normalize(head.classifier.weight, dim=1).t()
    training = head.loss(NeckFeatures(feats, feats), labels)
    assert_near(training['loss_ce'], CASES[f'{name}.loss'], 1e-4)
    testing = head.eval().loss(NeckFeatures(feats, feats), labels)
    torch.testing.assert_close(testing['loss_ce'], F.cross_entropy(options['scale'] * cosine, labels))
    right = (cosine.argmax(1) == labels).float().mean() * 100
    assert training['acc'] == testing['acc'] == right


@ALL
def test_an_embedding_on_or_opposite_to_its_class_has_a_finite_gradient(kind):
    classifier = loaded(kind)
    feats = torch.stack([classifier.weight[0], -classifier.weight[1], torch.zeros(24)]).detach().requires_grad_()
    labels = torch.tensor([0, 1, 2])
    F.cross_entropy(classifier.with_margin(classifier(feats), labels), labels).backward()
    assert feats.grad.isfinite().all() and classifier.weight.grad.isfinite().all()


@ALL
def test_the_score_of_the_true_class_rises_with_its_cosine(kind):
    """Also where angle and margin exceed 180 degrees; else a wrong embedding would be pushed away further."""
    classifier = kind(in_channels=2, num_classes=2)
    cosine = torch.linspace(-1, 1, 201)
    scores = classifier.with_margin(classifier.scale * torch.stack([cosine, cosine], 1), torch.zeros(201).long())
    assert (scores[:, 0].diff() > 0).all() and (scores[:, 0] < classifier.scale * cosine + 1e-4).all()


@ALL
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_scores_are_float32_under_autocast(kind, dtype):
    classifier, feats = loaded(kind), torch.from_numpy(CASES['feature']).to(dtype)
    labels = torch.from_numpy(CASES['targets'])
    expected = classifier.with_margin(classifier(feats.float()), labels)
    with torch.autocast('cpu', dtype=dtype):
        scores = classifier.with_margin(classifier(feats), labels)
    torch.testing.assert_close(scores, expected)
    half = classifier.to(dtype)  # weights in half precision too
    assert half(feats).dtype == torch.float32


@ALL
def test_margin_classifier_keeps_its_own_initial_weights(kind):
    head = ReIDHead(64, 500, classifier=dict(type=kind.__name__))
    head.init_weights()
    assert head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)


@ALL
def test_bad_options_are_refused(kind):
    with pytest.raises(ValueError, match=f'margin=-0.1 .*{kind.__name__}.*scale=30'):
        kind(8, 4, scale=30, margin=-0.1)
    with pytest.raises(ValueError, match=f"classifier='{kind.__name__}' of ReIDHead .*loss_cls"):
        ReIDHead(8, 4, classifier=dict(type=kind.__name__), loss_cls=None, loss_metric=dict(type='TripletLoss'))
