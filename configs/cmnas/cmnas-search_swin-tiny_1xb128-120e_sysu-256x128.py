# CM-NAS with Swin-T on SYSU-MM01: short trainings tell which norms to share. Writes arch.json for
# cmnas_swin-tiny_1xb128-120e_sysu-256x128.py.
_base_ = ['./cmnas_swin-tiny_1xb128-120e_sysu-256x128.py']

model = dict(arch='share')
train_dataloader = dict(
    dataset=dict(_delete_=True, type='IdentitySplit', part='train', dataset=_base_.train_dataloader.dataset),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='IdentitySplit',
        part='held_out',
        dataset=dict(_base_.train_dataloader.dataset, pipeline=_base_.test_pipeline),
    ),
)
val_evaluator = dict(_delete_=True, type='RegDBMetric')  # both directions, all images
train_cfg = dict(
    type='ShortTrainingSearchLoop',
    blocks=dict(
        stem='patch_embed.*',
        stage1='stages.0.*',
        stage2='stages.1.*',
        stage3='stages.2.*',
        stage4=['stages.3.*', 'norm3'],
    ),
    max_trainings=3,
    rounds=[
        dict(new=16, epochs=6, folds=1),
        dict(keep=4, new=1, epochs=12, folds=1),
        dict(keep=2, epochs=32, folds=2),
    ],
)
