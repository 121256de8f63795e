# Trains on RandPerson, which has no test set, and tests on Market-1501.
_base_ = ['./market1501.py']

train_dataloader = dict(dataset=dict(type='RandPerson', data_root='data/randperson_subset'))
