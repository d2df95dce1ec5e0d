"""The colour of every quad of a body: cloth with pattern and folds, skin, hair, shoes."""

import numpy as np


def paint(part, at, around, look):
    """Which quads of a tube exist (F,) bool, and their albedos (F, 3). `at` are its ring positions."""
    ring, turn = np.meshgrid((at[1:] + at[:-1]) / 2, (np.arange(around) + 0.5) * 2 * np.pi / around, indexing="ij")
    ring, turn = ring.ravel(), turn.ravel()
    colour = _PAINTERS[part](ring, turn, look)
    folds = 1 + (0.03 if part in ("head", "neck", "hand", "ear") else 0.05) * _noise(ring * 3, turn, look.seed + len(part))
    keep = _hairy(ring, turn, look) if part == "hair" else np.ones(len(ring), bool)
    return keep, np.clip(colour * folds[:, None], 0, 1)


def _noise(along, turn, seed):
    """Smooth noise (F,) of unit size, periodic in `turn`."""
    rng, value = np.random.default_rng(seed), 0
    for _ in range(6):
        value = value + np.sin(rng.uniform(0.5, 5) * along + rng.integers(-3, 4) * turn + rng.uniform(0, 6.3))
    return value / 1.7


def _where(mask, yes, no):
    return np.where(mask[:, None], yes, no)


def _shirt(along, turn, look):
    """The shirt's pattern; `along` in about decimetres, a quarter turn is the back."""
    base, accent, pattern = look.shirt, look.accent, look.pattern
    rng = np.random.default_rng(look.seed)
    front = -np.sin(turn)
    if pattern == "mottled":
        return _where(_noise(along * 2.5, turn, look.seed) > rng.uniform(-0.5, 0.8), base, accent)
    if pattern == "rings":
        return _where((along * rng.uniform(0.8, 2.2)) % 1 < rng.uniform(0.3, 0.6), base, accent)
    if pattern == "stripes":
        return _where(np.sin(turn * rng.integers(4, 9)) > 0, base, accent)
    if pattern == "checks":
        return _where((np.sin(turn * 6) > 0) ^ ((along * 1.4) % 1 < 0.5), base, 0.6 * base + 0.4 * accent)
    if pattern == "patch":
        return _where((front > 0.75) & (np.abs(along - 3.2) < 0.6), accent, base * np.ones((len(along), 1)))
    if pattern == "band":
        return _where(np.abs(along - rng.uniform(2, 3.6)) < 0.45, accent, base * np.ones((len(along), 1)))
    if pattern == "open":
        return _where(front > 0.9, accent, base * np.ones((len(along), 1)))
    return base * np.ones((len(along), 1))


def _torso(ring, turn, look):
    colour = _where(ring < 0.12, look.trousers, _shirt(ring * 2.4, turn, look))
    if look.skirt:
        colour = _where(ring < 0.12, look.trousers if look.seed % 2 else look.shirt, colour)
    belt = (ring > 0.08) & (ring < 0.2) & (look.seed % 3 == 0)
    colour = _where(belt, look.trousers * 0.4, colour)
    neckline = 2.10 - 0.25 * (look.seed % 4 == 1) * np.clip(-np.sin(turn), 0, 1) ** 4
    return _where(ring > neckline, look.skin, colour)


def _arm(ring, turn, look):
    sleeve = look.shirt * np.ones((len(ring), 1)) if look.pattern in ("patch", "band", "open") else _shirt(ring * 2.8, turn, look)
    return _where(ring < 2 * look.sleeves, sleeve, look.skin)


def _leg(ring, turn, look):
    seam = 1 - 0.12 * (np.abs(np.cos(turn)) > 0.97)
    bare = _where((ring > 1.8) & (look.seed % 2 == 0), np.full(3, 0.85), look.skin)
    return _where(ring < 2 * look.legs, look.trousers * seam[:, None], bare)


def _foot(ring, turn, look):
    sole = look.accent if look.seed % 3 else np.full(3, 0.9)
    return _where(np.sin(turn) < -0.6, sole * 0.8, _where((ring > 0.3) & (ring < 0.6) & (np.sin(turn) > 0.7), look.shoes * 0.6 + 0.3, look.shoes))


def _head(height, turn, look):
    front = -np.sin(turn)
    shade = 1 - 0.10 * np.clip(1 - np.hypot((height - 0.02) / 0.02, (np.abs(np.cos(turn)) - 0.4) / 0.25), 0, 1) * (front > 0.5)
    skin = look.skin * shade[:, None]
    whiskers = (height < -0.03 - 0.02 * (front > 0.6)) & (front > -0.1) & look.beard
    return _where(whiskers, 0.75 * look.hair + 0.25 * look.skin, skin)


def _hairy(height, turn, look):
    """Which quads of the hair shell exist: above a line that is high over the face and low at the neck."""
    front = -np.sin(turn)
    back, cheek, brow = {"short": (-0.05, 0.01, 0.066), "cap": (0.03, 0.045, 0.055), "bun": (-0.04, 0.02, 0.070)}.get(look.style, (-0.10, -0.095,
                                                                                                                                   0.066))
    return height > np.interp(front, (-0.3, 0.0, 0.25, 0.5, 0.7), (back, (back + cheek) / 2, cheek, (cheek + brow) / 2, brow))


def _hair(height, turn, look):
    strands = 1 + 0.15 * np.sin(turn * 9 + height * 40)
    return (look.accent if look.style == "cap" else look.hair)[None] * strands[:, None] ** (look.style != "cap")


def _skin(ring, turn, look):
    return np.repeat(look.skin[None], len(ring), 0)


def _skirt(ring, turn, look):
    return np.repeat((look.trousers if look.seed % 2 else look.shirt)[None], len(ring), 0) * (1 + 0.12 * np.sin(turn * 11))[:, None]


_PAINTERS = {"torso": _torso, "neck": _skin, "arm": _arm, "hand": _skin, "leg": _leg, "foot": _foot, "skirt": _skirt, "head": _head, "hair": _hair,
             "tail": _hair,
             "ear": _skin}
