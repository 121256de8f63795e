# The same on all images of MSMT17, including the test images (4,101 identities).
_base_ = ['./qaconv-gs_resnet50-ibnb_1xb64-60e_msmt17-384x128.py']

train_dataloader = dict(dataset=dict(combine_all=True))
