# Source and target have batch norms of their own.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(backbone=dict(norm_cfg=dict(type='mmreid.BranchBN2d')))
