//! Fast CPU kernels behind Burn operations: convolution, transposed convolution, dense layers, optimiser step.
