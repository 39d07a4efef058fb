# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A plain Python reference for the numbers that tributary computes.

Written from the definitions on top of transformers models and autograd, with none of the program's
code or shortcuts: no suffix-only passes, no shared sweeps, no fused matrices. Slow is fine here.
"""
