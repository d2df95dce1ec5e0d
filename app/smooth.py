"""Filters over time on arrays whose first axis is time; missing values are NaN and stay missing.

Butterworth for files (zero phase, sees the future), One-Euro for live (the past alone), Hampel for outliers, excursions for what is away for longer.
"""

import numpy as np
from scipy.linalg import solveh_banded
from scipy.signal import butter, sosfiltfilt

JUMP, PACE = 0.1, 2.0  # sizes, and sizes a second, by which no head or trunk moves from one frame to the next
BRIEF, HOME = 0.4, 0.5  # s, and share of the jumps: an excursion lasts no longer, and ends no farther from where it began


def stretches(times, pause):
    """Index arrays of the stretches of `times` (T,) s without a pause of `pause` seconds."""
    return np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) >= pause) + 1)


def interpolate(at, times, values):
    """Values (T, ...) known at increasing `times` (T,), linearly interpolated at `at` (N,), held at the ends. T >= 1."""
    right = np.clip(np.searchsorted(times, at), 1, max(len(times) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(times) - 1)
    span = np.where(right > left, times[right] - times[left], 1)
    part = np.clip((at - times[left]) / span, 0, 1).reshape(-1, *[1] * (values.ndim - 1))
    between = values[left] * (1 - part) + values[right] * part
    return np.where(part < 1e-6, values[left], np.where(part > 1 - 1e-6, values[right], between))  # at a known time its neighbour may be NaN


def neighbours(known):
    """For each frame the latest known one up to it and the first known one from it on (T,), -1 where there is none."""
    index = np.arange(len(known))
    before = np.maximum.accumulate(np.where(known, index, -1))
    after = np.minimum.accumulate(np.where(known, index, len(known))[::-1])[::-1]
    return before, np.where(after < len(known), after, -1)


def butterworth(values, times, cutoff, order=2):
    """Values (T, ...) low-passed forwards and backwards: no delay, half power at `cutoff` Hz over both passes.

    Uneven times are resampled to an even grid and back. Returned as they are: fewer than 4 frames, or a rate too low for the cutoff.
    Winter, "Biomechanics and motor control of human movement", 4th ed., section 2.2.4.4 (correction of the cutoff for two passes).
    """
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    steps = np.diff(times)
    rate = 1 / np.median(steps) if len(steps) else 0.0
    if len(values) < 4 or cutoff >= 0.4 * rate:
        return values
    corrected = rate / np.pi * np.arctan(np.tan(np.pi * cutoff / rate) / (2**0.5 - 1) ** (1 / (2 * order)))
    even = np.ptp(steps) < 0.1 / rate
    grid = times if even else np.linspace(times[0], times[-1], max(4, round((times[-1] - times[0]) * rate) + 1))
    missing = ~np.isfinite(flat)
    held = _bridged(flat, times, missing)
    sections = butter(order, corrected, fs=rate, output="sos")
    pad = int(min(len(grid) - 1, np.ceil(2 * rate / cutoff)))
    smooth = sosfiltfilt(sections, held if even else interpolate(grid, times, held), axis=0, padlen=pad)
    smooth = smooth if even else interpolate(times, grid, smooth)
    return np.where(missing, np.nan, smooth).reshape(np.shape(values)).astype(np.asarray(values).dtype)


def _bridged(flat, times, missing):
    """Columns (T, K) with NaN bridged in time; a column without any value becomes zero."""
    if not missing.any():
        return flat
    held = flat.copy()
    for column in np.flatnonzero(missing.any(0)):
        good = ~missing[:, column]
        held[:, column] = np.interp(times, times[good], flat[good, column]) if good.any() else 0
    return held


def spline(values, weights, times, cutoff):
    """Values (T, ...) smoothed by the least bent curve through them: half of it is left at `cutoff` Hz where weights (T,) are at their median.

    A value of weight 0 (it may be NaN) is bridged. Discretised smoothing spline on uneven times: sum of weight x (curve - value)^2 x time step plus
    the integral of the squared second derivative, divided by (2 pi cutoff)^4. Whittaker, "On a new method of graduation", 1923.
    """
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    weights = np.where(np.isfinite(flat).all(1), weights, 0.0)
    if len(flat) < 3 or not weights.any():
        return values
    trust = np.clip(weights / np.median(weights[weights > 0]), 0, 10) * np.gradient(times) + 1e-9
    left, right = np.diff(times)[:-1], np.diff(times)[1:]
    share = np.sqrt((left + right) / 2) * 2 / (left + right) / (2 * np.pi * cutoff) ** 2
    bend = np.stack([share / left, -share * (1 / left + 1 / right), share / right])  # rows act on frames i, i + 1, i + 2
    band = np.zeros((3, len(flat)))
    band[0] = trust
    for shift in range(3):
        for row in range(3 - shift):
            band[shift, row : row + bend.shape[1]] += bend[row] * bend[row + shift]
    return solveh_banded(band, trust[:, None] * np.nan_to_num(flat), lower=True).reshape(np.shape(values))


def hampel(points, floor, half=2, threshold=4.0, chunk=2048):
    """Which points (T, J, D) lie far from the median of their 2 * half + 1 frames: (T, J) bool.

    Far is `threshold` times the spread of the window (1.4826 x median distance) plus `floor` (T,), in the unit of the points.
    Hampel, "The influence curve and its role in robust estimation", 1974; on distances instead of single coordinates.
    """
    found = np.zeros(points.shape[:2], bool)
    padded = np.pad(points.astype(np.float32), ((half, half), (0, 0), (0, 0)), constant_values=np.nan)
    for start in range(0, len(points), chunk):
        stop = min(start + chunk, len(points))
        windows = np.lib.stride_tricks.sliding_window_view(padded[start : stop + 2 * half], 2 * half + 1, 0)
        middle = nan_median(windows)
        spread = 1.4826 * nan_median(np.linalg.norm(windows - middle[..., None], axis=2))
        distance = np.linalg.norm(points[start:stop] - middle, axis=2)
        found[start:stop] = distance > threshold * (spread + floor[start:stop, None])
    return found


def excursions(times, points, scores, sizes):
    """Which points (T, J, 2) are away for a moment: a jump takes them there and another one back, and their scores (T, J) are lower there.

    Unlike a spike for Hampel's filter an excursion may last: a head that is taken for a face on the wall. times (T,) s, sizes (T,) of the person in
    the unit of the points; unknown points are NaN. Returns (T, J) bool.
    """
    found = np.zeros(points.shape[:2], bool)
    for joint in range(points.shape[1]):
        rows = np.flatnonzero(np.isfinite(points[:, joint]).all(-1))
        for first, last in _excursions(times[rows], points[rows, joint] / sizes[rows, None], scores[rows, joint]):
            found[rows[first:last], joint] = True
    return found


def _excursions(times, places, scores):
    """(first, end) of the excursions of one joint at known `places` (N, 2) in sizes."""
    lengths = np.linalg.norm(np.diff(places, axis=0), axis=1)
    jumps, end = np.flatnonzero(lengths > JUMP + PACE * np.diff(times)) + 1, 0
    soon = np.searchsorted(times[jumps], times[jumps - 1] + BRIEF, "right")
    for i, first in enumerate(jumps):
        for last in jumps[i + 1 : soon[i]] if first >= end else ():
            around = np.r_[max(0, 2 * first - last) : first, last : min(len(places), 2 * last - first)]
            home = np.linalg.norm(places[last] - places[first - 1]) < HOME * min(lengths[first - 1], lengths[last - 1])
            if home and scores[first:last].mean() < scores[around].mean():
                end = last
                yield first, last
                break


def nan_median(windows):
    """The median over the last axis, NaN left out; NaN where nothing is left."""
    ordered = np.sort(windows, -1)
    count = np.isfinite(ordered).sum(-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, -1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, ordered.shape[-1] - 1), -1)
    return ((low + high) / 2)[..., 0]


class OneEuro:
    """A low pass of vectors (..., D) whose cutoff grows with their speed: `cutoff` + `beta` x speed, in Hz. Sees only the past.

    Casiez et al., "1 Euro filter", CHI 2012, algorithm 1, with the real time steps and one speed per vector.
    """

    def __init__(self, cutoff=1.0, beta=1.0, speed_cutoff=1.0):
        self.cutoff, self.beta, self.speed_cutoff = cutoff, beta, speed_cutoff
        self.time = self.value = self.speed = None

    def __call__(self, time, value):
        """The filtered value at `time` s. A NaN vector is returned as it is and forgotten."""
        value = np.asarray(value, np.float64)
        if self.value is None:
            self.time, self.value, self.speed = time, value, np.zeros_like(value)
            return value
        step, self.time = max(time - self.time, 1e-6), time
        before = np.where(np.isfinite(self.value), self.value, value)
        change = np.nan_to_num((value - before) / step)
        self.speed = self.speed + _weight(self.speed_cutoff, step) * (change - self.speed)
        pace = np.linalg.norm(self.speed, axis=-1, keepdims=True)
        filtered = before + _weight(self.cutoff + self.beta * pace, step) * (value - before)
        self.value = np.where(np.isfinite(filtered), filtered, before)
        return filtered


def _weight(cutoff, step):
    """The share of the new value in an exponential low pass."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))
