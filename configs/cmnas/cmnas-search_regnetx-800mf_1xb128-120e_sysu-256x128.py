# CM-NAS with RegNetX-800MF on SYSU-MM01: short trainings tell which norms to share. Writes arch.json for
# cmnas_regnetx-800mf_1xb128-120e_sysu-256x128.py.
_base_ = ['./cmnas_regnetx-800mf_1xb128-120e_sysu-256x128.py']

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
    blocks='stage',
    max_trainings=3,
    rounds=[
        dict(new=16, epochs=6, folds=1),
        dict(keep=4, new=1, epochs=12, folds=1),
        dict(keep=2, epochs=32, folds=2),
    ],
)
