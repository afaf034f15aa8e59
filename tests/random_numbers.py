"""The numbers of random graphs: short binary fractions, arbitrary bits, or what a profile holds, its ends included."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikeport.graph import LOIHI2, Profile

#: (low, high) of what may enter in units; an input is never wider than a message
BOUNDS = ((0, 1), (0, 1), (0, 4), (-8, 8), (0, 255), (-128, 127))


def random_profile(rng):
    """A number format, mostly near Loihi's; half of them with its 24 bits of state, which Lava has."""

    def pick(*options):
        return options[rng.integers(len(options))]

    narrow, each = rng.random(2) < 0.3
    return replace(
        LOIHI2,
        name="random",
        weight_bits=int(rng.integers(1, 9)) if rng.random() < 0.5 else 8,
        weight_exponent=(-int(rng.integers(0, 11)), int(rng.integers(0, 9))),
        threshold_bits=pick(3, 8, 12, 17, 17, 17, 20),
        bias_bits=pick(4, 8, 13, 13, 16),
        bias_exponent=(0, pick(0, 3, 7, 7)),
        state_bits=pick(24, 24, 24, 24, 9, 12, 16, 20, 23, 28, 32),
        message_bits=pick(8, 8, 8, 1, 4, 16),
        schedule=bool(rng.random() < 0.85),
        channel_thresholds=bool(rng.random() < 0.85),
        accumulator_bits=int(rng.integers(9, 29)) if narrow else None,
        accumulator_overflow=pick("wrap", "wrap", "refuse"),
        weight_shift="each" if each else "sum",
    )


@dataclass
class Numbers:
    """Draws arrays for a graph of `steps` steps; `profile` is None in real numbers of the type `dtype`."""

    rng: np.random.Generator
    steps: int
    profile: Profile | None
    dtype: str = "float64"
    odd_bits: bool = False

    @property
    def integers(self):
        return self.profile is not None

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def maybe(self, share=0.5):
        return bool(self.rng.random() < share)

    def over(self, draw, shape):
        """``draw(size)`` as one value, one a channel, or one a neuron."""
        return np.asarray(draw(self.pick((), shape[:1], shape)))

    def fraction(self, shape, low, high, parts):
        """Whole numbers from ``low`` to ``high`` over ``parts``, or as many numbers of any bits."""
        dtype = self.dtype if self.maybe(0.8) else "float32"
        if self.odd_bits:
            value = np.asarray(self.rng.normal(size=shape), dtype)
            return np.where(self.rng.random(shape) < 0.1, np.asarray(-0.0, dtype), value).astype(dtype)
        return np.asarray(self.rng.integers(low, high + 1, shape) / parts, dtype)

    def whole(self, shape, low, high):
        """Integers from ``low`` to ``high``, in a type that holds them; sometimes nothing but the ends."""
        ends = self.rng.choice([low, high], shape)
        value = ends if self.maybe(0.1) else self.rng.integers(low, high + 1, shape)
        return np.asarray(value, self.pick(np.int32, np.int64) if max(-low, high) < 2**31 else np.int64)

    # -- synapses, scales, norms

    def weights(self, *shape):
        """Eighths or sixteenths, or mantissas: within a small span, within all that fit, or their ends and zero."""
        if not self.integers:
            return self.fraction(shape, -16, 16, self.pick(8, 16))
        bits = self.profile.weight_bits
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        if bits < 8 and self.maybe(0.3):
            low, high = 0, 2**bits - 1  # of one sign, which takes no bit
        span = self.pick(2, 20, 128)
        value = self.rng.integers(max(low, -span), min(high, span) + 1, shape)
        value = self.rng.choice([low, high, 0], shape) if self.maybe(0.2) else value
        return value.astype(self.pick(np.int8, np.int8, np.int16, np.int64))

    def exponent(self):
        if not self.integers or self.maybe(0.6):
            return 0
        low, high = self.profile.weight_exponent
        return int(np.clip(self.pick(-8, -3, -2, -1, 1, 2, 3, 7, low, high), low, high))

    def synapse_bias(self, outputs):
        return None if self.integers or self.maybe() else self.weights(outputs)

    def factor(self, shape):
        if self.integers:
            return self.over(lambda size: self.whole(size, -3, 3), shape)
        return self.over(lambda size: self.fraction(size, -4, 4, 2), shape)

    # -- neurons

    def decay(self, shape, *, of_current=False):
        if self.integers:
            ends = (0, 2048, 3277, 4095) if of_current else (1, 2048, 3277, 4095, 4096)

            def draw(size):
                any_ = self.rng.integers(ends[0], ends[-1] + 1, size)
                return np.asarray(
                    any_ if self.maybe(0.3) else self.rng.choice(ends, size), self.pick(np.int32, np.int64)
                )

            return self.over(draw, shape)
        if self.odd_bits:
            return self.over(lambda size: self.rng.random(size).astype(self.dtype), shape)
        short, longer = (5, 9) if self.dtype == "float32" else (12, 20)  # each step of a leak takes a bit, or two
        values = (
            [0, 0.25, 0.5, 0.5, 0.75, 1] if self.steps <= short else [0, 0.5, 1] if self.steps <= longer else [0, 1]
        )
        return self.over(lambda size: np.asarray(self.rng.choice(values, size), np.float32), shape)

    def bias(self, shape):
        """Of neurons, and of readouts."""
        if self.maybe(0.4):
            return np.asarray(0, np.int64 if self.integers else np.float32)
        if not self.integers:
            return self.over(lambda size: self.fraction(size, -8, 8, 8), shape)
        top = 2 ** (self.profile.bias_bits - 1) - 1 << self.profile.bias_exponent[1]
        span = min(self.pick(64, 500, 5000, top), top)
        return self.over(lambda size: self.whole(size, -span, span), shape)

    def threshold(self, shape, fan):
        """A schedule; ``fan`` inputs of a neuron say how large it may be to fire now and then."""
        tails = [(), shape[:1], shape]
        if self.integers and not self.profile.channel_thresholds:
            tails = [()]
        size = (self.steps, *self.pick(*tails))
        if self.integers:
            top = 2**self.profile.threshold_bits - 1
            usual = min(self.pick(10, 30, 100, 3000, 2 + int(60 * np.sqrt(fan))), top)
            value = self.rng.choice([0, top], size) if self.maybe(0.1) else self.rng.integers(0, usual + 1, size)
            value = value.astype(self.pick(np.int32, np.int64))
        else:
            most = self.pick(8, 32, max(1, int(4 * np.sqrt(fan))))
            value = np.asarray(self.rng.integers(1, most + 1, size) / self.pick(4, 16), self.dtype)
        constant = self.maybe(0.3) or (self.integers and not self.profile.schedule)
        return np.repeat(value[:1], self.steps, axis=0) if constant else value

    def neuron(self, shape, fan, reset):
        """The options of a layer."""
        options = {
            "decay": self.decay(shape),
            "threshold": self.threshold(shape, fan),
            "bias": self.bias(shape),
            "reset": reset,
        }
        if self.integers:
            top = min(4000, self.profile.state_top)
            level = self.over(lambda size: self.whole(size, -top, top), shape) if self.maybe(0.3) else None
            level = np.asarray(self.pick(0, -min(70, top), top)) if level is None else level
            unit = np.asarray(self.pick(1.0, 2.0**-10), self.pick(np.float32, np.float64))
            return options | {"gain": np.asarray(1), "reset_value": level, "compare": ">", "unit": unit}
        return options | {
            "gain": self.over(lambda size: np.asarray(self.rng.choice([0.5, 1, 1, 2], size), np.float32), shape),
            "reset_value": self.over(lambda size: self.fraction(size, -8, 4, 16), shape),
            "compare": self.pick(">=", ">"),
        }

    def readout(self, shape):
        """Weights, for all neurons or for each channel or neuron its own, and bias of a readout."""
        steps = (self.steps, *self.pick((), (), shape[:1], shape))
        if self.integers:
            weight, unit = self.whole(steps, -3, 3), np.asarray(self.pick(1.0, 0.125), np.float32)
            return {"weight": weight, "bias": self.bias(shape), "unit": unit}
        return {"weight": self.fraction(steps, -4, 4, 4), "bias": self.bias(shape)}

    # -- what enters

    def entering(self):
        """Unit, low and high of an input."""
        if not self.integers:
            return {}
        bits = max(8, self.profile.message_bits)
        low, high = self.pick(*BOUNDS, (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), (0, 2**bits - 1))
        unit = np.asarray(self.pick(1.0, 0.25), self.pick(np.float32, np.float64))
        return {"unit": unit, "low": float(low), "high": float(high)}
