# OSNet-IBN trained on all of MSMT17 and tested on another data set, with torchreid's settings for Market-1501
# (im_osnet_ibn_x1_0_softmax_256x128_amsgrad).
_base_ = ['./softmax_osnet-ain-x1-0_1xb64-100e_msmt17-all-to-market1501-256x128.py']

_weights = dict(checkpoint='checkpoints/osnet_ibn_x1_0_imagenet.pth')
model = dict(backbone=dict(variant='ibn', init_cfg=_weights), matcher=dict(type='EuclideanMatcher'))

param_scheduler = [dict(type='StepLR', step_size=60, gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=150)
