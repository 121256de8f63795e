# The official recipe of CM-NAS on RegDB: averaged weights overwrite the trained ones every 10 epochs. What still
# differs: docs/en/methods/cmnas.md. The authors' own architecture, if you have it: --cfg-options model.arch=config.cfg
_base_ = [
    '../_base_/models/cmnas_resnet50.py',
    '../_base_/datasets/cmnas_official_256x128.py',
    '../_base_/schedules/cmnas_120e.py',
    '../_base_/default_runtime.py',
]

trial = 1  # of 10; must be the same in the training and the test set
model = dict(arch='work_dirs/cmnas-search_resnet50_1xb128-120e_regdb-256x128/arch.json')
train_dataloader = dict(dataset=dict(type='RegDB', data_root='data/RegDB', trial=trial))
val_dataloader = dict(dataset=dict(type='RegDB', data_root='data/RegDB', trial=trial, direction='v2t'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='RegDBMetric')  # both directions
test_evaluator = val_evaluator
train_cfg = dict(val_interval=10)
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='OverwritingEMAHook',
        momentum=0.032,
        update_buffers=True,
        evaluate_on_ema=False,  # as test.py of the authors; True tests the average
        evaluate_on_origin=True,
    ),
]
