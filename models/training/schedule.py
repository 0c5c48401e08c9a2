"""The learning rate by step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinearDecay:
    """Constant, then linearly towards zero, as CycleGAN trains (arXiv:1703.10593).

    The original's formula, 1 - max(0, epoch + 1 - constant) / (decay + 1), counted in steps instead of
    epochs: with one step an epoch the two are equal, and nothing but the number of the step is needed to
    go on after an interruption.
    """

    constant_steps: int
    decay_steps: int

    @property
    def steps(self) -> int:
        return self.constant_steps + self.decay_steps

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied with at the given step, the first of which is 0."""
        return 1.0 - max(0, step + 1 - self.constant_steps) / (self.decay_steps + 1)


@dataclass(frozen=True, slots=True)
class Halved:
    """Constant, then half of it, as KinD restores reflectance (arXiv:1905.04161)."""

    constant_steps: int

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied with at the given step, the first of which is 0."""
        return 1.0 if step < self.constant_steps else 0.5
