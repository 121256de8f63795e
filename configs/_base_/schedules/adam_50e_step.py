# Adam for 50 epochs, divided by 10 every 20 (official codes of SpCL and Cluster Contrast).
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3.5e-4, weight_decay=5e-4))
param_scheduler = [dict(type='StepLR', step_size=20, gamma=0.1, by_epoch=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=10)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Images of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=256, enable=False)
