# Manual study: every norm split.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_llcm-288x144.py']

model = dict(arch='split')
