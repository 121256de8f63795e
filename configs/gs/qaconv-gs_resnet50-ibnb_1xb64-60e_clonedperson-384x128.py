# The same, trained on the synthetic ClonedPerson.
_base_ = ['./qaconv-gs_resnet50-ibnb_1xb64-60e_randperson-384x128.py']

train_dataloader = dict(dataset=dict(type='ClonedPerson', data_root='data/clonedperson'))
