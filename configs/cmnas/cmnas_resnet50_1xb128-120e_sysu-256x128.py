# CM-NAS on SYSU-MM01: trains the result of cmnas-search_resnet50_1xb128-120e_sysu-256x128.py.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(arch='work_dirs/cmnas-search_resnet50_1xb128-120e_sysu-256x128/arch.json')
