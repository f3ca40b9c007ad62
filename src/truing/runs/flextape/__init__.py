"""What was published with Seesaw-CF (Halevy et al. 2024, arXiv:2403.00180), computed again from the
results that its repository (ENSCMA2/flextape) holds: by the published rule, and mended."""
