# ECN++ from Market-1501 to MSMT17: a graph network, trained on the source, predicts the neighbors.
_base_ = ['./ecn_resnet50_1xb256-60e_market2msmt-256x128.py']

model = dict(head=dict(invariance=dict(neighbors=dict(type='GraphPositivePrediction'))))
custom_hooks = [*_base_.custom_hooks, dict(type='NeighborPrecisionHook')]
