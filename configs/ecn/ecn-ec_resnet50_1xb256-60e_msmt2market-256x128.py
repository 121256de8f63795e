# Ablation: exemplar and camera invariance.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(head=dict(invariance=dict(neighbors=None)))
