"""Networks: U-Net and TransMorph, which give the displacement, and the variance estimator."""
