# CM-NAS in minutes on a CPU: trains the result of cmnas-search_resnet18_1xb64-40e_procedural-64x32.py.
_base_ = ['./cmnas-share_resnet18_1xb64-40e_procedural-64x32.py']

model = dict(arch='work_dirs/cmnas-search_resnet18_1xb64-40e_procedural-64x32/arch.json')
