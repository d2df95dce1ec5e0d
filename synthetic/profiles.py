"""Cross-sections of a body of 1.75 m in metres, where the parts of the face lie, and how clothes and build change them."""

import numpy as np

_TORSO = (
    (-0.36, 0.030, 0.030), (-0.30, 0.110, 0.080), (-0.16, 0.160, 0.110), (0.0, 0.170, 0.118), (0.2, 0.162, 0.112), (0.42, 0.145, 0.102),
    (0.6, 0.146, 0.103), (0.8, 0.154, 0.112), (1.0, 0.163, 0.120), (1.25, 0.169, 0.122), (1.5, 0.170, 0.115), (1.68, 0.170, 0.100),
    (1.82, 0.165, 0.086), (1.92, 0.142, 0.074), (2.02, 0.106, 0.066), (2.12, 0.076, 0.062), (2.22, 0.060, 0.056), (2.26, 0.045, 0.045),
)
_ARM = (
    (-0.13, 0.010), (-0.11, 0.030), (-0.04, 0.050), (0.08, 0.057), (0.3, 0.053), (0.5, 0.049), (0.75, 0.044), (0.92, 0.041), (1.0, 0.041),
    (1.08, 0.042), (1.25, 0.042), (1.5, 0.037), (1.75, 0.030), (1.95, 0.027), (2.0, 0.027),
)
_LEG = (
    (-0.12, 0.060), (-0.02, 0.088), (0.1, 0.090), (0.28, 0.084), (0.5, 0.074), (0.75, 0.062), (0.92, 0.056), (1.0, 0.055), (1.08, 0.053),
    (1.2, 0.054), (1.38, 0.056), (1.6, 0.047), (1.8, 0.039), (1.95, 0.036), (2.0, 0.037),
)
_FOOT = (
    (-0.06, 0.012, 0.030), (-0.03, 0.030, 0.060), (0.08, 0.036, 0.082), (0.28, 0.038, 0.092), (0.42, 0.040, 0.080), (0.58, 0.046, 0.062),
    (0.76, 0.049, 0.050), (0.92, 0.040, 0.040), (1.0, 0.025, 0.030), (1.03, 0.008, 0.015),
)
_HAND = (
    (-0.06, 0.018, 0.018), (0.05, 0.026, 0.018), (0.25, 0.036, 0.017), (0.5, 0.042, 0.017), (0.7, 0.038, 0.015), (0.92, 0.030, 0.012),
    (1.0, 0.010, 0.006),
)
# Height above the ears, half width, half depth, shift forward.
_HEAD = (
    (-0.128, 0.012, 0.014, 0.060), (-0.122, 0.030, 0.032, 0.048), (-0.108, 0.044, 0.050, 0.034), (-0.085, 0.056, 0.070, 0.018),
    (-0.06, 0.063, 0.083, 0.008), (-0.03, 0.068, 0.090, 0.003), (0.0, 0.072, 0.094, 0.0), (0.025, 0.074, 0.096, -0.002),
    (0.05, 0.074, 0.096, -0.004), (0.073, 0.070, 0.090, -0.006), (0.092, 0.058, 0.076, -0.007), (0.105, 0.036, 0.046, -0.007),
    (0.110, 0.010, 0.012, -0.007),
)


def _dense(profile, count):
    """A profile at `count` positions, spaced by its own knots so that round ends stay round."""
    profile, knots = np.array(profile), np.linspace(0, len(profile) - 1, count)
    return np.stack([np.interp(knots, np.arange(len(profile)), column) for column in profile.T], 1)


TORSO, ARM, LEG, FOOT, HAND, HEAD = (_dense(profile, count) for profile, count in
                                     ((_TORSO, 28), (_ARM, 19), (_LEG, 22), (_FOOT, 11), (_HAND, 8), (_HEAD, 18)))


def torso(at, hips, shoulders, shape, look):
    """Half widths and half depths (rings,) of a trunk: as wide as its hips and shoulders (half widths, m), as thick as its build, plus the cloth."""
    frame = np.interp(at, (0, 1.6, 2.0), (hips / 0.105, shoulders / 0.180, 1))
    belly = np.interp(at, (-0.2, 0.1, 0.5, 0.9), (shape.hips, shape.hips, shape.waist, 1))
    build = np.interp(at, (1.7, 2.2), (shape.girth, shape.girth**0.5))
    cloth = np.interp(at, (-0.4, -0.2, 1.7, 2.0), (0, 1, 1, 0)) * (0.004 + 0.016 * look.loose)
    return TORSO[:, 1] * frame * build**0.4 * belly + cloth, TORSO[:, 2] * build**0.8 * belly + cloth


def dressed(radius, at, end, girth, loose):
    """Radii (rings,) of a limb of a build, thicker where the cloth reaches; `end` is the ring position at which it stops."""
    return radius * girth**0.6 + np.where(at < end, 0.004 + 0.012 * loose * np.clip(at + 0.4, 0, 1.4), 0)


def head_parts(look):
    """(part, height, half width, half depth, shift, vertices around) of skull and hair, metres from the middle of the ears."""
    height, wide, deep, shift = HEAD.T
    parts = [("head", height, wide, deep, shift, 22)]
    if look.style == "bald":
        return parts
    thick = {"short": 0.010, "cap": 0.014}.get(look.style, 0.018)
    parts.append(("hair", height + thick * (height > 0.06), wide + thick, deep + thick, shift - 0.004, 22))
    if look.style == "long":
        fall = np.linspace(0.08, -0.26, 9)
        parts.append(("tail", fall, np.interp(fall, (-0.26, -0.2, 0.05, 0.08), (0.03, 0.075, 0.075, 0.04)), np.full(9, 0.030), np.full(9, -0.075),
                      12))
    if look.style == "bun":
        round_ = np.linspace(-1, 1, 7)
        parts.append(("tail", 0.055 + 0.04 * round_, 0.042 * np.sqrt(1.02 - round_**2), 0.042 * np.sqrt(1.02 - round_**2), np.full(7, -0.115), 12))
    return parts


def _patch(forward, left, up, wide, high, slant=0.0):
    """A quad (4, 3) on the face: its middle, its half sizes, and how far its outer edge lies back."""
    inner, outer, sign = left - np.sign(left) * wide, left + np.sign(left) * wide, -1 if left < 0 else 1
    corners = [(forward, inner, up - high), (forward - slant, outer, up - high), (forward - slant, outer, up + high), (forward, inner, up + high)]
    return corners[::sign]


def decals(look):
    """Quads (D, 4, 3) of eyes, brows, mouth, nose and the peak of a cap, in head axes (forward, left, up) from the middle of the ears."""
    quads = []
    for sign in (1, -1):
        quads += [_patch(0.0865, sign * 0.032, 0.024, 0.0145, 0.0075, 0.007), _patch(0.087, sign * 0.032, 0.024, 0.0065, 0.007, 0.003),
                  _patch(0.088, sign * 0.032, 0.044, 0.0175, 0.0042, 0.008)]
    for sign in (1, -1):
        quads.append(_patch(0.097, sign * 0.012, -0.055, 0.012, 0.006, 0.004))
    bridge, tip, under = (0.091, 0, 0.028), (0.111, 0, -0.014), (0.093, 0, -0.030)
    for sign in (1, -1):
        wing = (0.087, sign * 0.019, -0.026)
        quads += [[bridge, tip, wing, wing][::sign], [tip, under, wing, wing][::sign]]
    if look.style == "cap":
        for sign in (1, -1):
            quads.append([(0.075, 0, 0.068), (0.165, 0, 0.050), (0.150, sign * 0.050, 0.045), (0.060, sign * 0.062, 0.058)][::-sign])
            quads.append(quads[-1][::-1])
    return np.array(quads, np.float64)


def decal_colours(look):
    """Albedos (D, 3) of the decals."""
    dark, lips = look.hair * 0.8, look.skin * (0.82, 0.52, 0.50)
    eyes = [np.full(3, 0.9), np.full(3, 0.09), dark]
    peak = [look.accent] * 4 if look.style == "cap" else []
    return np.array(eyes * 2 + [lips] * 2 + [look.skin * 1.03, look.skin * 0.8] * 2 + peak)


def decal_bias(look):
    """Metres (D,) by which the decals are drawn in front of their place: iris over white over skin."""
    return np.array([0.02, 0.025, 0.02] * 2 + [0.02] * 2 + [0.03] * 4 + ([0.02] * 4 if look.style == "cap" else []))
