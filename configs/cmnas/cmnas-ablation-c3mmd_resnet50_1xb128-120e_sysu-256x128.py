# Ablation: with class-specific MMD as well, all but weight averaging.
_base_ = ['./cmnas-ablation-correlation_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(head=dict(weight_losses=('ce', 'triplet', 'correlation', 'mmd')))
