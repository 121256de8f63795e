# Adam with AMSGrad for 150 epochs, divided by 10 every 60 (torchreid, OSNet from ImageNet weights).
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1.5e-3, weight_decay=5e-4, amsgrad=True))
param_scheduler = [dict(type='StepLR', step_size=60, gamma=0.1, by_epoch=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=150, val_interval=50)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Images of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=64, enable=False)
