# Manual study: stem and stages 1 to 2 split.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(arch={'*': 'share', 'bn1': 'split', 'layer[12].*': 'split'})
