"""The ablation card: what each choice of the paper and of ours is worth, by training once more without it."""
