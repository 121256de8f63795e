# Procedural people with many near-duplicates: training on one domain, tests on other people of that domain and of two
# unseen domains. The "Try it" section of docs/en/methods/gs.md makes the data.
_base_ = ['./procedural_64x32.py']

train_dataloader = dict(dataset=dict(data_root='data/procedural-gs/default', name='default'))
_loader = dict(batch_size=128, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False))
_test = dict(type='Market1501', split='test', pipeline=_base_.test_pipeline)
val_dataloader = [
    dict(**_loader, dataset=dict(**_test, data_root=f'data/procedural-gs/{domain}', name=domain))
    for domain in ('default', 'beach', 'other')
]
test_dataloader = val_dataloader
