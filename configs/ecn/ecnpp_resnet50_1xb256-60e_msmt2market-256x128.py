# ECN++ from MSMT17 to Market-1501: a graph network with its own optimizer, trained on the source, predicts neighbors.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(head=dict(invariance=dict(neighbors=dict(type='GraphPositivePrediction'))))
optim_wrapper = dict(
    _delete_=True,
    constructor='JointOptimWrapperConstructor',
    model=dict(optimizer=_base_.optim_wrapper.optimizer, paramwise_cfg=_base_.optim_wrapper.paramwise_cfg),
    graph=dict(
        optimizer=dict(type='Adam', lr=1e-3, weight_decay=5e-4),
        modules=['head.invariance.neighbors'],
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type='NeighborPrecisionHook')]
