# Copyright (c) mmreid contributors. All rights reserved.
from mmreid.models import ReIDHead
from mmreid.models.losses import ClassMemoryLoss
from mmreid.utils.published import published_weights


def test_what_losses_keep_of_identities_stays_behind():
    centers = ReIDHead(4, 3, loss_metric=[dict(type='TripletLoss'), dict(type='CenterLoss')])
    memory = ClassMemoryLoss(num_classes=3, channels=4, size=(2, 1))
    states = {f'head.{key}': value for key, value in centers.state_dict().items()}
    states |= {f'head.loss.{key}': value for key, value in memory.state_dict().items()}
    assert 'head.loss_metric.center.centers' in states and 'head.loss.class_memory' in states
    states['neck.centers'] = states['head.loss_metric.center.centers']  # testing needs such a neck
    assert list(published_weights(states)) == ['head.classifier.weight', 'neck.centers']
