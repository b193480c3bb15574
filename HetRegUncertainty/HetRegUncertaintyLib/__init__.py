"""Slicer glue of HetReg: between MRML, Qt and the core `hetreg`. Nothing here imports torch at file scope."""
