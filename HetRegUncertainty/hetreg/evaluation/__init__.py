"""What an evaluation is made of: cases, the paper's preparation, scores, means, files."""
