"""Kalman filters of many boxes at once, shared by the trackers.

A box is C coordinates, each with a velocity of its own and noises that are independent of the others: so each coordinate is a filter of two numbers,
and the filters of all boxes are arrays. `mean` is (N, C, 2): value and velocity; `covariance` (N, C, 3): of the value, of value and velocity, of
the velocity. Textbook equations (Kalman 1960) written out for two numbers of which the first is measured.
"""

import numpy as np


def predict(mean, covariance, carry, keep, noise):
    """The state later on: value + carry * velocity and keep * velocity, with the variances `noise` (..., 2) of both added.

    Constant velocity over a time t is carry = t, keep = 1.
    """
    value, both, velocity = np.moveaxis(covariance, -1, 0)
    moved = np.stack([mean[..., 0] + carry * mean[..., 1], keep * mean[..., 1]], -1)
    spread = np.stack([value + carry * (2 * both + carry * velocity) + noise[..., 0], keep * (both + carry * velocity),
                       keep**2 * velocity + noise[..., 1]], -1)
    return moved, spread


def correct(mean, covariance, measured, noise):
    """The state after the values were measured as (N, C) with variances `noise` (N, C)."""
    value, both, velocity = np.moveaxis(covariance, -1, 0)
    total = value + noise
    gain, gain_velocity = value / total, both / total
    miss = measured - mean[..., 0]
    moved = mean + np.stack([gain, gain_velocity], -1) * miss[..., None]
    spread = np.stack([value - gain * value, both - gain * both, velocity - gain_velocity * both], -1)
    return moved, spread


def distances(mean, covariance, measured, noise):
    """Squared Mahalanobis distances (N, M) of measurements (M, C) from states (N, C, 2), with measurement variances `noise` (N, C)."""
    miss = measured[None] - mean[:, None, :, 0]
    return (miss**2 / (covariance[:, :, 0] + noise)[:, None]).sum(-1)
