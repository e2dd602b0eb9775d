"""The training itself: device, model, batches, one loop, evaluation. The only part with torch."""
