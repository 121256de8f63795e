# Ablation: with correlation consistency (SP) as well.
_base_ = ['./cmnas-ablation-arch_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(head=dict(weight_losses=('ce', 'triplet', 'correlation')))
