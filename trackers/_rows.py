"""People as columns: arrays of one length by name, a row a person, which is what lets the trackers work on all of them at once."""

import numpy as np


class Rows:
    """Columns are attributes. `Rows(ids=(0,), mean=(0, 4, 2))` has no rows yet; a column of another type than float gets an empty array instead."""

    def __init__(self, **columns):
        self.names = tuple(columns)
        for name, column in columns.items():
            setattr(self, name, np.zeros(column) if isinstance(column, tuple) else column)

    def __len__(self):
        return len(getattr(self, self.names[0]))

    def keep(self, rows):
        """Keep only these rows (N,) bool."""
        if not rows.all():
            for name in self.names:
                setattr(self, name, getattr(self, name)[rows])

    def add(self, **columns):
        """Append rows; every column is given, as an array or as one value for all of them."""
        count = max(len(column) for column in columns.values() if np.ndim(column))
        for name in self.names:
            old = getattr(self, name)
            new = np.broadcast_to(columns[name], (count, *old.shape[1:])) if np.ndim(columns[name]) == 0 else columns[name]
            setattr(self, name, np.concatenate([old, np.asarray(new, old.dtype)]))
