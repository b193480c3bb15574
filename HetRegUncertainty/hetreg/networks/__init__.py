"""Networks: the U-Net that gives the displacement, and the variance estimator."""
