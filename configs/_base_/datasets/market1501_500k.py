# Market-1501, tested among 500,000 more distractors; validation does not use them.
_base_ = ['./market1501.py']

test_dataloader = dict(dataset=dict(distractors='images', name='market1501_500k'))
