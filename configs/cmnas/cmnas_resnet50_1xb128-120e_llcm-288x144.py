# CM-NAS on LLCM: trains the result of cmnas-search_resnet50_1xb128-120e_llcm-288x144.py.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_llcm-288x144.py']

model = dict(arch='work_dirs/cmnas-search_resnet50_1xb128-120e_llcm-288x144/arch.json')
