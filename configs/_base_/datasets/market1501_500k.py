# Market-1501, tested with 500,000 additional distractors; validation runs without them.
_base_ = ['./market1501.py']

test_dataloader = dict(dataset=dict(distractors='images', name='market1501_500k'))
