"""All methods and networks on one data set, beside the paper's tables and figures."""
