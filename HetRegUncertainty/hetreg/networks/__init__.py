"""Networks: U-Net, TransMorph and Pyramid, which give the displacement, and the variance estimator."""
