# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What verify.sh runs and pack.sh builds: targets, and the numbers of threads of a block that programs are compiled for besides the usual ones.
# shellcheck disable=SC2034
targets='fryer_program test_cuda_kernels test_cuda_backend test_warp_bodies test_cart_pole_bodies test_q_training_bodies test_digests'
shapes='32 256 1024'
