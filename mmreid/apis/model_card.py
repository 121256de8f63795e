# Copyright (c) mmreid contributors. All rights reserved.
"""Writes the model card of a published folder, with the header that the Hugging Face Hub reads."""

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmreid.structures import InferenceContract

from .model_list import ListedModel

_CARD = """---
license: {license_id}
{license_name}library_name: mmreid
pipeline_tag: image-feature-extraction
tags:
- person-re-identification
- image-retrieval
- mmreid
---

# {name}

{summary}

```python
from mmreid.apis import ReIDInferencer

inferencer = ReIDInferencer('FOLDER')  # this folder; needs no network
embeddings = inferencer.extract('images'{modality})
```

## Model

| | |
| --- | --- |
| config | `{name}` |
| method | {method} |
| network | {network}, {num_parameters:,} parameters |
| output | {output} |
| matcher | {matcher} |
| images | {height}x{width} (height x width), {steps.interpolation} by {steps.resize_backend}, {order} |
| mean, std | {mean}; {std} (pixels from 0 to 255) |
| weights | `{file}`, {dtype}, SHA-256 `{sha256}` |

`inference.json` says the same to programs.

## Data

Trained on: {data}.{drawn}

## License

Weights: **{license_text}**. The license of mmreid, Apache 2.0, is that of its code. The terms of the training data may
limit what weights may be used for, also where this card does not say so; read them before you use or share the weights.

## Intended use

Research on person re-identification, and finding the same person again in images that you have the right to process,
with a person who checks what was found. Similarity of clothes and build is not proof of identity.

## Out-of-scope use

- Identifying people in public places, or anything else that the law forbids or ties to a permission you lack. Person
  re-identification may count as biometric identification, for example in the EU AI Act.
- Decisions about people that no person checks; surveillance of employees or of people who were not told.
- Finding people by ethnicity, religion, health or other protected attributes.
- Images unlike the training data: measure on your own cameras first.

## Results

{results}

## Retention

Embeddings describe people, so treat them like the images that they were made from: keep them only as long as the
purpose needs, set a date when galleries are deleted, delete embeddings together with their images, and do not pass them
on. Embeddings of another model cannot be compared with them, so extract them anew when the model changes.
"""
_DRAWN = """

**It has seen people as drawings only**, made by mmreid's own generator. On photographs its embeddings may be of little
use; measure them on your own cameras before you rely on them."""
_KINDS = dict(
    this='measured, with these weights',
    measured='measured by the authors of mmreid, with this config',
    reported='reported by the authors of the method, with their own weights',
)


@dataclass
class CardFacts:
    """What a card says that no contract contains.

    Attributes:
        name (str): Name of the config.
        file (str): The file of weights.
        sha256 (str): Its hash.
        dtype (str): How it stores numbers.
        num_parameters (int): Parameters of the network.
        shape (tuple[int, ...]): Shape of what an image becomes.
        data (list[str]): Training data.
        license_id (str): License of the weights, as the Hub names it; ``'other'`` if nothing was said.
        listed (ListedModel, optional): The entry of the metafile.
        measured (dict[str, float]): Numbers of these weights.
    """

    name: str
    file: str
    sha256: str
    dtype: str
    num_parameters: int
    shape: tuple[int, ...]
    data: list[str]
    license_id: str
    listed: ListedModel | None = None
    measured: dict[str, float] = field(default_factory=dict)


def model_card(contract: InferenceContract, facts: CardFacts) -> str:
    """Writes a card as Markdown."""
    steps = contract.preprocessing
    drawn = bool(facts.data) and all('procedural' in name for name in facts.data)
    unknown = facts.license_id == 'other'
    normalized = 'L2-normalized by the model' if contract.normalized else 'not normalized by the model'
    return _CARD.format(
        license_id=facts.license_id,
        license_name='license_name: not-stated\n' if unknown else '',
        license_text='not stated, so ask whoever published this' if unknown else plain(facts.license_id),
        name=plain(facts.name),
        summary='Person re-identification: images of the same person get similar '
        + ('feature maps.' if contract.embedding == 'map' else 'embeddings.')
        + (' Trained on drawn people only.' if drawn else ''),
        modality=", modality='infrared'" if contract.modalities else '',
        method=plain(facts.listed.collection if facts.listed and facts.listed.collection else 'not listed in mmreid'),
        network=plain(_network(contract.model)),
        num_parameters=facts.num_parameters,
        output=f'{contract.embedding} of {"x".join(map(str, facts.shape))} numbers, {normalized}',
        matcher=plain(contract.matcher.get('type')),
        steps=steps,
        height=steps.size[0],
        width=steps.size[1],
        order=steps.channel_order.upper(),
        mean=_numbers(steps.mean),
        std=_numbers(steps.std),
        file=facts.file,
        dtype=facts.dtype,
        sha256=facts.sha256,
        data=', '.join(map(plain, facts.data)) or 'not known',
        drawn=_DRAWN if drawn else '',
        results=_results(facts),
    )


def plain(text: Any) -> str:
    """Makes a text one line without HTML and table marks."""
    return html.escape(' '.join(str(text).split()), quote=False).replace('|', r'\|').replace('`', "'")


def _network(model: Mapping) -> str:
    backbone = model.get('backbone')
    if not isinstance(backbone, Mapping):
        return str(model.get('type'))
    details = [str(backbone[key]) for key in ('depth', 'arch', 'variant') if isinstance(backbone.get(key), (str, int))]
    return f'{model.get("type")} with {backbone.get("type")} {" ".join(details)}'.strip()


def _results(facts: CardFacts) -> str:
    rows = [_row(*_split(name), value, 'this', '') for name, value in facts.measured.items()]
    for entry in facts.listed.results if facts.listed else ():
        if rows and entry.get('Kind') == 'measured':
            continue  # numbers of these weights say more
        place = entry.get('Source', '')
        rows += [
            _row(entry['Dataset'], name, value, entry.get('Kind', 'reported'), place)
            for name, value in entry['Metrics'].items()
        ]
    if not rows:
        return 'No numbers are known.'
    return '\n'.join(['| data set | metric | % | kind | source |', '| --- | --- | --- | --- | --- |', *rows])


def _split(name: str) -> tuple[str, str]:
    dataset, _, metric = name.rpartition('/')
    return dataset or 'test set', metric


def _row(dataset: str, metric: str, value: float, kind: str, source: str) -> str:
    cells = plain(dataset), plain(metric), f'{float(value):.1f}', _KINDS.get(kind, plain(kind)), plain(source)
    return f'| {" | ".join(cells)} |'


def _numbers(values: Iterable[float]) -> str:
    return ', '.join(f'{value:g}' for value in values)
