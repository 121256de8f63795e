# Ablation: the baseline with the searched architecture.
_base_ = ['./cmnas-ablation-baseline_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(arch='work_dirs/cmnas-search_resnet50_1xb128-40e_sysu-256x128/arch.json')
