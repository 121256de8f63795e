# Manual study: only the norms of stage 3 split.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(arch={'*': 'share', 'layer3.*': 'split'})
