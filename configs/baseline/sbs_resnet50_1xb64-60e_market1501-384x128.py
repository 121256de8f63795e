# SBS of fast-reid. The authors train it in mixed precision: tools/train.py --amp.
_base_ = [
    '../_base_/models/sbs_resnet50.py',
    '../_base_/datasets/sbs_384x128.py',
    '../_base_/schedules/adam_60e_flat-cosine.py',
    '../_base_/default_runtime.py',
]

_data = dict(type='Market1501', data_root='data/Market-1501-v15.09.15')
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = val_dataloader

# Neck and classifier first.
custom_hooks = [*_base_.custom_hooks, dict(type='FreezeHook', modules=['backbone'], end=1000)]
