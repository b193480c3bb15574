"""What the benchmarks share: cases, methods, scores, and the peers in environments of their own."""
