"""All that is needed to make or re-make a weights file: data sets, losses, loops, evaluation."""
