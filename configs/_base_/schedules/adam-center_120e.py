# Adam for 120 epochs, and another learning rate for the centers of CenterLoss. Luo et al. use SGD with rate 0.5 for
# them; with Adam, 100 times the network's rate lets them follow about as fast.
_base_ = ['./adam_120e.py']

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(centers=dict(lr_mult=100.0, decay_mult=0.0))))
