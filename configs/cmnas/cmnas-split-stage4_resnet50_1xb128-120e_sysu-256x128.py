# Manual study: only the norms of stage 4 split.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(arch={'*': 'share', 'layer4.*': 'split'})
