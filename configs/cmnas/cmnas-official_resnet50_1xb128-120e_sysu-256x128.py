# The official recipe of CM-NAS on SYSU-MM01: averaged weights overwrite the trained ones every 2 epochs. What still
# differs: docs/en/methods/cmnas.md. The authors' own architecture, if you have it: --cfg-options model.arch=config.cfg
_base_ = [
    '../_base_/models/cmnas_resnet50.py',
    '../_base_/datasets/cmnas_official_256x128.py',
    '../_base_/schedules/cmnas_120e.py',
    '../_base_/default_runtime.py',
]

model = dict(arch='work_dirs/cmnas-search_resnet50_1xb128-120e_sysu-256x128/arch.json')
train_dataloader = dict(dataset=dict(type='SYSUMM01', data_root='data/SYSU-MM01'))
val_dataloader = dict(dataset=dict(type='SYSUMM01', data_root='data/SYSU-MM01', mode='all'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='SYSUMetric')  # all search, single-shot
test_evaluator = dict(_delete_=True, type='SYSUMetric', mode=('all', 'indoor'), shot=(1, 10))
train_cfg = dict(val_interval=2)
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='OverwritingEMAHook',
        momentum=0.003,
        update_buffers=True,
        evaluate_on_ema=False,  # as test.py of the authors; True tests the average
        evaluate_on_origin=True,
    ),
]
