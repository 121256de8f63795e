# ECN++ from MSMT17 to Market-1501: a graph network, trained on the source, predicts the neighbors.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(head=dict(invariance=dict(neighbors=dict(type='GraphPositivePrediction'))))
custom_hooks = [*_base_.custom_hooks, dict(type='NeighborPrecisionHook')]
