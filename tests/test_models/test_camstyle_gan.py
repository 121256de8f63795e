# Copyright (c) mmreid contributors. All rights reserved.
"""The camera-style network: shapes, losses by their formulas, and the order of its steps."""

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.nn import functional as F

from mmreid.models import CamStyleGAN, StarGANDiscriminator, StarGANGenerator, gradient_penalty, render
from mmreid.structures import ReIDDataSample

SIZE = (32, 16)
SMALL = dict(
    cameras=[4, 0, 2],
    size=SIZE,
    generator=dict(base_channels=4, num_blocks=1),
    discriminator=dict(base_channels=4, num_layers=3),
)


def model_of(**changes):
    torch.manual_seed(0)
    return CamStyleGAN(**{**SMALL, **changes})


def batch(camids=(0, 2, 4, 0)):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (len(camids), 3, *SIZE), generator=generator, dtype=torch.uint8)
    return dict(inputs=inputs, data_samples=[ReIDDataSample(metainfo=dict(camid=camid)) for camid in camids])


def optimizers(model, lr=0.0):
    """Plain gradient descent; with a rate of 0 the gradients of a step can be looked at."""

    class Keep(OptimWrapper):
        def zero_grad(self, **kwargs):
            pass

    parts = dict(generator=model.generator, discriminator=model.discriminator)
    return OptimWrapperDict(**{name: Keep(torch.optim.SGD(part.parameters(), lr=lr)) for name, part in parts.items()})


def test_shapes_at_the_published_size():
    generator, discriminator = StarGANGenerator(6), StarGANDiscriminator(6)
    # Published: 64, 128, 256 channels, six blocks; six halvings to 2048 channels.
    assert [layer.out_channels for layer in generator.layers if hasattr(layer, 'out_channels')] == [
        64, 128, 256, 128, 64, 3,
    ]  # fmt: skip
    assert generator.layers[0].in_channels == 3 + 6
    assert sum(type(layer).__name__ == 'ResidualBlock' for layer in generator.layers) == 6
    strides = [layer.stride for layer in discriminator.layers if hasattr(layer, 'stride')]
    assert strides == [(2, 2)] * 6 and discriminator.scores.in_channels == 2048
    assert discriminator.classifier.weight.shape == (6, 2048, 4, 2)


def test_the_camera_is_a_plane_of_ones():
    generator = StarGANGenerator(3, base_channels=4, num_blocks=1)
    seen = []
    generator.layers[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    inputs = torch.rand(2, 3, *SIZE) * 2 - 1
    made = generator(inputs, torch.tensor([2, 0]))
    assert made.shape == inputs.shape and made.abs().max() <= 1
    assert torch.equal(seen[0][:, :3], inputs)
    assert seen[0][:, 3:].mean((2, 3)).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_penalty_of_a_linear_critic_is_known():
    weight = torch.randn(3, 4, 4, dtype=torch.float64).float().requires_grad_()
    real, made = torch.rand(2, 5, 3, 4, 4)
    penalty = gradient_penalty(lambda x: (x * weight).sum((1, 2, 3)), real, made, torch.rand(5))
    torch.testing.assert_close(penalty, (weight.norm() - 1) ** 2)
    penalty.backward()
    torch.testing.assert_close(weight.grad, 2 * (weight.norm() - 1) * weight / weight.norm().detach())


def test_penalty_by_finite_differences():
    """The slope at the mixed points, one pixel after the other, with a critic that gives a map of scores."""
    model = model_of().double()

    def critic(images):
        return model.discriminator.scores(model.discriminator.layers(images))

    real, made = torch.rand(2, 2, 3, *SIZE).double() * 2 - 1
    mix = torch.tensor([0.25, 0.9])
    points = mix[:, None, None, None] * real + (1 - mix)[:, None, None, None] * made
    slopes = torch.zeros(2, 3 * SIZE[0] * SIZE[1])
    with torch.no_grad():
        for pixels in torch.arange(slopes.shape[1]).split(256):
            steps = 1e-6 * F.one_hot(pixels, slopes.shape[1]).double().view(-1, 3, *SIZE)
            for row in range(2):
                up, down = critic(points[row] + steps), critic(points[row] - steps)
                slopes[row, pixels] = ((up - down).sum((1, 2, 3)) / 2e-6).float()
    model.float()
    penalty = gradient_penalty(critic, real, made, mix)
    torch.testing.assert_close(penalty, ((slopes.norm(dim=1) - 1) ** 2).mean(), rtol=1e-4, atol=1e-5)


def test_losses_and_gradients_of_both_steps(monkeypatch):
    """Against the formulas, written out with one forward each."""
    model = model_of(n_critic=1, lambda_cls=2.0, lambda_rec=3.0, lambda_gp=5.0)
    mix = torch.tensor([0.1, 0.4, 0.6, 1.0])
    monkeypatch.setattr(model, 'draw_order', lambda count: torch.tensor([1, 2, 3, 0]))
    monkeypatch.setattr(model, 'draw_mix', lambda real: mix)
    data = batch()
    losses = model.train_step(data, optimizers(model))
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}

    model.zero_grad()
    real = data['inputs'].flip(1).float() / 127.5 - 1
    source, target = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 0, 0])
    made = model.generator(real, target)
    scores, logits = model.discriminator(real)
    d_loss = model.discriminator(made.detach())[0].mean() - scores.mean() + 2 * F.cross_entropy(logits, source)
    points = (mix.view(4, 1, 1, 1) * real + (1 - mix.view(4, 1, 1, 1)) * made).detach().requires_grad_()
    (slope,) = torch.autograd.grad(model.discriminator(points)[0].sum(), points, create_graph=True)
    penalty = ((slope.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
    d_weights, g_weights = list(model.discriminator.parameters()), list(model.generator.parameters())
    d_grads = torch.autograd.grad(d_loss + 5 * penalty, d_weights, retain_graph=True)

    scores, logits = model.discriminator(made)
    rec = (model.generator(made, source) - real).abs().mean()
    g_grads = torch.autograd.grad(-scores.mean() + 2 * F.cross_entropy(logits, target) + 3 * rec, g_weights)

    expected = dict(zip([name for name, _ in model.named_parameters()], [*g_grads, *d_grads], strict=True))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: name + text)
    torch.testing.assert_close(losses['d_loss_gp'], penalty.detach())
    torch.testing.assert_close(losses['g_loss_rec'], rec.detach())
    torch.testing.assert_close(losses['g_loss_adv'], -scores.mean().detach())


def test_the_generator_moves_every_nth_step():
    model = model_of(n_critic=3)
    wrappers = optimizers(model, lr=1e-3)
    moved = []
    for _ in range(6):
        before = {name: part.detach().clone() for name, part in model.named_parameters()}
        logged = model.train_step(batch(), wrappers)
        changed = {name.split('.')[0] for name, part in model.named_parameters() if not torch.equal(before[name], part)}
        moved.append('generator' in changed)
        assert 'discriminator' in changed and ('g_loss_rec' in logged) == moved[-1]
        model.zero_grad()
        # A resumed run keeps the rhythm.
        model.load_state_dict(model.state_dict())
    assert moved == [False, False, True, False, False, True] and model.steps == 6
    assert all(weight.requires_grad for weight in model.parameters())


def test_render_gives_images_as_they_were_loaded():
    model = model_of()
    model.generator.forward = lambda inputs, cameras: inputs * (cameras == 1).view(-1, 1, 1, 1)
    inputs = batch()['inputs']
    images = render(model, inputs, [1, 0, 1, 1])
    assert images.shape == (4, *SIZE, 3)
    assert torch.equal(torch.from_numpy(images[2]), inputs[2].permute(1, 2, 0))
    assert set(images[1].flatten().tolist()) == {128}
    assert model(model.data_preprocessor(dict(inputs=inputs))['inputs']).shape == (4, 3, 3, *SIZE)


def test_refuses_other_cameras():
    with pytest.raises(ValueError, match=r'\(1, 6\).*\(1, 3, 5\)'):
        model_of().load_state_dict(model_of(cameras=[0, 5]).state_dict())
    with pytest.raises(ValueError, match=r'\(1, 2, 3\).*\(1, 3, 5\)'):
        model_of().load_state_dict(model_of(cameras=[0, 1, 2]).state_dict())
    model = model_of()
    with pytest.raises(ValueError, match=r'camera 2, .*CamStyleGAN .*\(1, 3, 5\)'):
        model.train_step(batch([0, 1]), optimizers(model))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(cameras=None), "runner_type='CamStyleRunner'"),
        (dict(cameras=[3, 3]), r'CamStyleGAN .*cameras .*\[3\]'),
        (dict(size=(30, 16)), r'size=\(30, 16\) .* 4'),
        (dict(discriminator=dict(num_layers=5)), '32x16 .*num_layers=5 '),
        (dict(n_critic=0), 'n_critic=0'),
    ],
)
def test_refuses_what_cannot_work(changes, message):
    with pytest.raises(ValueError, match=message):
        model_of(**changes)


def test_refuses_other_sizes_and_optimizers():
    model = model_of()
    with pytest.raises(ValueError, match='StarGANDiscriminator .*32x16 .*16x16'):
        model.discriminator(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match="optim_wrapper .*'generator' and 'discriminator'"):
        model.train_step(batch(), OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))
