import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.losses.patch_nce import PatchNCELoss


def units(seed: int, images: int = 2, patches: int = 6) -> Tensor:
    dice = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(images, patches, 4, generator=dice), dim=-1)


def test_two_patches_by_hand() -> None:
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    queries = torch.tensor([[[1.0, 0.0], [0.6, 0.8]]])
    # similarities over the temperature of a half: (2, 0) for the first query, (1.2, 1.6) for the second
    first = -math.log(math.exp(2.0) / (math.exp(2.0) + 1))
    second = -math.log(math.exp(1.6) / (math.exp(1.2) + math.exp(1.6)))
    assert float(PatchNCELoss(0.5)(queries, keys)) == pytest.approx((first + second) / 2)


def test_vectors_that_are_all_alike_leave_it_to_chance() -> None:
    alike = torch.ones(3, 8, 1)
    assert float(PatchNCELoss()(alike, alike)) == pytest.approx(math.log(8))


def test_the_right_order_is_better_than_any_other() -> None:
    keys = units(0)
    right = PatchNCELoss()(keys, keys)
    assert right < PatchNCELoss()(keys.roll(1, dims=1), keys)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(PatchNCELoss()(keys[:, order], keys[:, order]), right)


def test_other_images_of_the_batch_are_no_negatives() -> None:
    queries, keys = units(1), units(2)
    alone = [PatchNCELoss()(queries[[number]], keys[[number]]) for number in range(2)]
    torch.testing.assert_close(PatchNCELoss()(queries, keys), torch.stack(alone).mean())


def test_gradients_reach_the_translation_alone() -> None:
    queries, keys = units(1).requires_grad_(), units(2).requires_grad_()
    PatchNCELoss()(queries, keys).backward()
    assert queries.grad is not None
    assert keys.grad is None


def test_half_precision_is_compared_in_float32() -> None:
    half = units(1).bfloat16()
    loss = PatchNCELoss()(half, half)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, PatchNCELoss()(half.float(), half.float()))
