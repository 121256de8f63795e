# Stage 1 of ADCA on SYSU-MM01 by the authors' recipe: two memories without labels, and nothing across the modalities
# but the shared network and the channel augmentation.
_base_ = [
    '../_base_/models/adca_resnet50.py',
    '../_base_/datasets/unlabeled_vi_288x144.py',
    '../_base_/schedules/adam_50e_step.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(type='SYSUMM01', data_root='data/SYSU-MM01'))
val_dataloader = dict(dataset=dict(type='SYSUMM01', data_root='data/SYSU-MM01', mode='all'))
test_dataloader = val_dataloader
val_evaluator = dict(type='SYSUMetric')  # all search, single-shot
test_evaluator = dict(type='SYSUMetric', mode=('all', 'indoor'), shot=(1, 10))
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='PseudoLabelHook',
        clustering=dict(type='JaccardDBSCAN', eps=0.6, min_samples=4, k1=30, k2=6),
        mirror=True,
    ),
]
auto_scale_lr = dict(base_batch_size=384)
