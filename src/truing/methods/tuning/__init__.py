"""Fine-tuning on contrast pairs: adapters that are trained on many pairs together."""
