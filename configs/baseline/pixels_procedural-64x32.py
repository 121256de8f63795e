# The floor of the quickstart: compares images pixel by pixel.
_base_ = ['./quickstart_resnet18_1xb64-25e_procedural-64x32.py']

model = dict(_delete_=True, type='PixelReID', size=(64, 32))

# There is nothing to train.
train_dataloader = None
train_cfg = None
optim_wrapper = None
param_scheduler = None
