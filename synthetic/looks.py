"""What a body wears: colours, cut of the clothes, hair and pattern."""

from dataclasses import dataclass

import numpy as np

SKINS = np.array([(255, 219, 190), (241, 194, 155), (224, 172, 125), (198, 134, 90), (141, 85, 50), (92, 58, 40)]) / 255
HAIRS = np.array([(25, 20, 18), (45, 30, 22), (80, 52, 32), (120, 80, 45), (190, 150, 90), (150, 60, 30), (150, 150, 150), (215, 210, 205)]) / 255
PATTERNS = ("plain", "plain", "plain", "mottled", "mottled", "rings", "stripes", "checks", "patch", "band", "open")
STYLES = ("bald", "short", "short", "short", "bob", "long", "bun", "cap")


@dataclass(frozen=True)
class Look:
    """Colours are (3,) RGB from 0 to 1. Sleeves and legs end at a share of the limb: 0 nothing, 0.5 elbow or knee, 1 wrist or ankle.

    `skirt` is the share of the leg that a skirt or a coat covers (0 none), `loose` how far the clothes stand off, `accent` the second colour of
    the shirt's `pattern`, `seed` fixes folds and blotches.
    """

    skin: np.ndarray
    hair: np.ndarray
    shirt: np.ndarray
    accent: np.ndarray
    trousers: np.ndarray
    shoes: np.ndarray
    style: str = "short"
    pattern: str = "plain"
    sleeves: float = 0.3
    legs: float = 1.0
    skirt: float = 0.0
    loose: float = 0.35
    beard: bool = False
    seed: int = 0


def _cloth(rng, dull=0.5):
    """A cloth colour: greys, blues and earth more often than the rest of the wheel."""
    value = rng.uniform(0.06, 0.95)
    if rng.random() < dull:
        return np.clip(value + rng.normal(0, 0.03, 3), 0.02, 0.98)
    hue = rng.choice([rng.random(), rng.normal(0.6, 0.05), rng.normal(0.06, 0.04)])
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.clip(value * (1 - rng.uniform(0.3, 0.95) * (1 - wheel)), 0.02, 0.98)


def random_look(rng):
    """A look drawn from everyday clothes, sport and office."""
    skin = np.clip(SKINS[rng.integers(len(SKINS))] * rng.uniform(0.9, 1.05) + rng.normal(0, 0.01, 3), 0, 1)
    bare, skirt = rng.random(), 0.0
    legs = 1.0 if bare < 0.75 else rng.uniform(0.3, 0.62)
    if rng.random() < 0.14:
        skirt, legs = rng.uniform(0.3, 0.7), float(rng.random() < 0.4)
    return Look(skin, HAIRS[rng.integers(len(HAIRS))] * rng.uniform(0.8, 1.1), _cloth(rng), _cloth(rng), _cloth(rng, 0.7), _cloth(rng, 0.8),
                str(rng.choice(STYLES)), str(rng.choice(PATTERNS)), rng.choice([0.05, 0.3, 0.45, 1.0, 1.0]), legs, skirt,
                rng.uniform(0.1, 0.9), bool(rng.random() < 0.15), int(rng.integers(1 << 30)))
