# Separate batch norms for source and target.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(backbone=dict(norm_cfg=dict(type='mmreid.BranchBN2d')))
