# SGD for 81 epochs, ten times the rate for neck and classifier: 10 epochs of warm-up, divided by 10 after 20 and 50
# (official AGW code for two modalities, train.py).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=10.0), head=dict(lr_mult=10.0))),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=10, by_epoch=True),
    dict(type='MultiStepLR', milestones=[20, 50], gamma=0.1, by_epoch=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=81, val_interval=27)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Identities x images x modalities of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=64, enable=False)
