# SGD of QAConv 2.1: a tenth of the rate for the backbone, gradients of the network and of the matcher clipped apart, at
# most 60 epochs. When the mean loss of an epoch is below 0.7 x that of the second, the rates fall to a tenth, and half
# as many epochs follow as there were.
_sgd = dict(type='SGD', lr=5e-3, momentum=0.9, nesterov=True, weight_decay=5e-4)
optim_wrapper = dict(
    constructor='JointOptimWrapperConstructor',
    model=dict(
        optimizer=_sgd,
        paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
        clip_grad=dict(max_norm=8.0),
    ),
    matcher=dict(optimizer=_sgd, clip_grad=dict(max_norm=8.0), modules=['matcher']),
)
param_scheduler = []  # AdaptiveScheduleHook
# The last epoch is validated, whichever it is.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=60, val_interval=60)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Identities x images of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=64, enable=False)
