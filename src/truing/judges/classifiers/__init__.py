"""Text classifiers: trained, calibrated, measured, saved without pickle."""
